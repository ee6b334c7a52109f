"""The names of ImageNet-1k's classes that ship with the kit, beside torchvision's own."""

import itertools
import re
from pathlib import Path

import pytest

from worker.models import torchvision_ops

FOLDER = Path(__file__).parents[4] / "worker/imagenet"
LATIN = {"CD机", "T恤", "iPod", "福特T型车"}  # said with these letters in Chinese too
BEYOND_GB2312 = set("䴕狆獴鳽鸮鹀鹟")  # animals' names, as mainland lists of species print them
STRETCH = 20  # every run of so many lines has an anchor in it

ANCHORS = [
    (0, "tench", "丁桂鱼"),
    (1, "goldfish", "金鱼"),
    (18, "magpie", "喜鹊"),
    (30, "bullfrog", "牛蛙"),
    (48, "Komodo dragon", "科莫多巨蜥"),
    (63, "Indian cobra", "印度眼镜蛇"),
    (79, "centipede", "蜈蚣"),
    (94, "hummingbird", "蜂鸟"),
    (105, "koala", "考拉"),
    (122, "American lobster", "波士顿龙虾"),
    (134, "crane bird", "鹤"),
    (148, "killer whale", "虎鲸"),
    (162, "beagle", "比格犬"),
    (170, "Irish wolfhound", "爱尔兰猎狼犬"),
    (187, "Yorkshire terrier", "约克夏梗"),
    (207, "golden retriever", "金毛寻回犬"),
    (208, "Labrador retriever", "拉布拉多犬"),
    (219, "cocker spaniel", "可卡犬"),
    (232, "Border collie", "边境牧羊犬"),
    (250, "Siberian husky", "哈士奇"),
    (266, "miniature poodle", "迷你贵宾犬"),
    (281, "tabby", "虎斑猫"),
    (282, "tiger cat", "虎纹猫"),
    (292, "tiger", "老虎"),
    (309, "bee", "蜜蜂"),
    (327, "starfish", "海星"),
    (340, "zebra", "斑马"),
    (354, "Arabian camel", "单峰骆驼"),
    (367, "chimpanzee", "黑猩猩"),
    (382, "squirrel monkey", "松鼠猴"),
    (388, "giant panda", "大熊猫"),
    (398, "abacus", "算盘"),
    (413, "assault rifle", "突击步枪"),
    (425, "barn", "谷仓"),
    (435, "bathtub", "浴缸"),
    (454, "bookshop", "书店"),
    (471, "cannon", "大炮"),
    (486, "cello", "大提琴"),
    (497, "church", "教堂"),
    (517, "crane", "起重机"),
    (532, "dining table", "餐桌"),
    (549, "envelope", "信封"),
    (561, "forklift", "叉车"),
    (579, "grand piano", "三角钢琴"),
    (593, "harmonica", "口琴"),
    (609, "jeep", "吉普车"),
    (620, "laptop", "手提电脑"),
    (638, "maillot", "紧身连体衣"),
    (639, "maillot tank suit", "连体泳衣"),
    (657, "missile", "导弹"),
    (664, "monitor", "显示器"),
    (681, "notebook", "笔记本电脑"),
    (695, "padlock", "挂锁"),
    (713, "photocopier", "复印机"),
    (730, "plow", "犁"),
    (744, "projectile", "炮弹"),
    (759, "reflex camera", "单反相机"),
    (774, "sandal", "凉鞋"),
    (782, "screen", "屏幕"),
    (800, "slot", "老虎机"),
    (817, "sports car", "跑车"),
    (836, "sunglass", "太阳镜"),
    (837, "sunglasses", "墨镜"),
    (849, "teapot", "茶壶"),
    (866, "tractor", "拖拉机"),
    (876, "tub", "浴盆"),
    (890, "volleyball", "排球"),
    (905, "window shade", "遮光帘"),
    (920, "traffic light", "红绿灯"),
    (937, "broccoli", "西兰花"),
    (954, "banana", "香蕉"),
    (963, "pizza", "披萨"),
    (980, "volcano", "火山"),
    (987, "corn", "玉米"),
    (999, "toilet tissue", "卫生纸"),
]


def lines(language: str) -> list[str]:
    """The file as its bytes say, so that a carriage return or a byte order mark would be seen."""
    *names, remainder = (FOLDER / f"imagenet-1k.{language}.txt").read_bytes().decode().split("\n")
    assert remainder == "", "the last line ends in a newline"
    return names


@pytest.fixture(scope="module")
def english() -> list[str]:
    return lines("en")


@pytest.fixture(scope="module")
def chinese() -> list[str]:
    return lines("zh")


def test_the_synsets_are_in_the_order_of_the_classes(english: list[str]) -> None:
    """ImageNet-1k's classes are numbered by their WordNet ids, rising."""
    *synsets, remainder = (FOLDER / "synsets.txt").read_text().split("\n")
    assert remainder == ""
    assert len(set(synsets)) == len(synsets) == 1000
    assert synsets == sorted(synsets)
    assert all(re.fullmatch(r"n\d{8}", synset) for synset in synsets)
    anchors = {"n01440764": "tench", "n02123045": "tabby", "n02510455": "giant panda", "n15075141": "toilet tissue"}
    assert {synset: english[synsets.index(synset)] for synset in anchors} == anchors


def is_gb2312(character: str) -> bool:
    """Whether GB 2312 has it: the mainland's own set, made of the simplified forms."""
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def test_the_english_names_are_torchvisions_own_in_its_order(english: list[str]) -> None:
    torchvision_ops.make_importable()
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert english == _IMAGENET_CATEGORIES


def test_each_of_the_thousand_classes_has_one_chinese_name(chinese: list[str], english: list[str]) -> None:
    assert len(chinese) == len(english) == 1000


def test_no_chinese_name_occurs_twice(chinese: list[str]) -> None:
    assert sorted(name for name in set(chinese) if chinese.count(name) > 1) == []


def test_chinese_names_have_only_chinese_characters(chinese: list[str]) -> None:
    assert {name for name in chinese if not re.fullmatch("[\u3400-\u4dbf\u4e00-\u9fff]+", name)} == LATIN


def test_chinese_names_are_in_simplified_characters(chinese: list[str]) -> None:
    assert {character for character in "".join(chinese) if not is_gb2312(character)} == BEYOND_GB2312


def test_a_traditional_character_would_be_detected() -> None:
    assert [character for character in "鱼魚龙龍车車" if is_gb2312(character)] == ["鱼", "龙", "车"]


@pytest.mark.parametrize(("index", "english_name", "chinese_name"), ANCHORS)
def test_an_anchor_is_on_its_line(
    english: list[str], chinese: list[str], index: int, english_name: str, chinese_name: str
) -> None:
    assert (english[index], chinese[index]) == (english_name, chinese_name)


def test_the_anchors_would_reveal_a_shifted_line_anywhere() -> None:
    indices = [-1, *(index for index, _, _ in ANCHORS), 1000]
    assert all(0 < after - before <= STRETCH for before, after in itertools.pairwise(indices))
