"""Render how well a model was taught as one HTML page, in English and Chinese, with its images inside. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scripts.models.tools.evaluate.html import document, figure, metric, number, section, table, text, words
from scripts.models.tools.evaluate.metrics import confusion_matrix
from scripts.models.tools.evaluate.report import MAX_CLASSES, Evaluation, percent
from scripts.models.tools.evaluate.statistics import interval
from scripts.models.tools.teach.bilingual import STYLE, both, choice
from scripts.models.tools.teach.drawings import curve_picture, interval_bar, matrix
from scripts.models.tools.teach.images import Example
from scripts.models.tools.teach.result import FEW, Pair, Teaching

MAX_FIGURES, MAX_FILES = 24, 500  # of one kind on the page; the JSON file has all
Urls = Mapping[str, str]  # data URLs of thumbnails by the name of the image


def shown(teaching: Teaching) -> dict[str, Path]:
    """Return the paths of the images whose thumbnails are on the page, by name."""
    by_name = {one.name: one for one in teaching.examples}
    wrong = [by_name[each.file] for each in teaching.main.mistakes]
    doubtful = [teaching.examples[each.position] for each in teaching.doubts[:MAX_FIGURES]]
    pairs = [one for pairs in (teaching.near, teaching.leaked) for pair in pairs[:MAX_FIGURES] for one in pair]
    return {one.name: one.path for one in (*wrong, *doubtful, *pairs) if one.present}


def page(teaching: Teaching, urls: Urls) -> str:
    """Return the page; `urls` has a thumbnail for each of the images that are `shown`, "" for a missing one."""
    main = teaching.main
    title = f"{main.model}: {percent(main.metrics.top_1)}"
    return document(title, "\n".join(_body(teaching, urls)), STYLE)


def _body(teaching: Teaching, urls: Urls) -> Iterator[str]:
    main = teaching.main
    yield choice("zh" in main.labels.names)
    yield f"<h1>{text(main.model)}</h1>"
    count, learned = main.labels.count, len(teaching.learned)
    yield "<p>" + both(
        f"{count} classes taught to {teaching.base} ({main.engine} {main.precision}) with {learned} images.",
        f"用 {learned} 张图片教会 {teaching.base}（{main.engine} {main.precision}）{count} 个类别。",
    ) + "</p>"  # fmt: skip
    yield f'<p class="quiet">{text(f"{main.source}, {main.created:%Y-%m-%d %H:%M} UTC, {main.machine}")}</p>'
    yield section("", f"<dl>{''.join(_figures(teaching))}</dl>")
    yield section(both("Methods compared", "比较过的方法"), _methods(teaching))
    yield section(both("More images", "更多图片"), _curve(teaching))
    yield section(both("Confusion matrix", "混淆矩阵"), _confusions(main))
    yield section(both("Classes, lowest recall first", "各类别（召回率低的在前）"), _classes(teaching))
    yield from _doubts(teaching, urls)
    yield from _mistakes(main, urls)
    near = both("Nearly the same image in two classes", "几乎相同的图片出现在两个类别中")
    yield from _pairs(near, teaching.near, urls)
    leaked = both("Nearly the same as a learned image: not held out", "与学习图片几乎相同：未用于检验")
    yield from _pairs(leaked, teaching.leaked, urls)
    unread = [(each.file, each.reason) for each in main.broken]
    yield from _files(both("Left out: cannot be used", "未使用：无法读取或不适用"), unread)
    copies = [(each.file, each.reason) for each in teaching.copies]
    yield from _files(both("Left out: copies", "未使用：重复的图片"), copies)


def _figures(teaching: Teaching) -> Iterator[str]:
    if teaching.tested:
        yield _accuracy(both("held-out images", "检验图片"), teaching.tested)
    yield _accuracy(both("cross-validated", "交叉验证"), teaching.cross_validated)
    if (expected := teaching.curve.expected) is not None:
        value = both(f"about {expected:.1%}", f"约 {expected:.1%}")
        yield metric(both("with twice the images", "图片加倍后"), value, both("cross-validated", "交叉验证"))
    if replaced := teaching.replaced:
        before, now = replaced.before / replaced.images, replaced.now / replaced.images
        note = both(
            f"{now:.1%} now, on the same {replaced.images} held-out images",
            f"现为 {now:.1%}（同样的 {replaced.images} 张检验图片）",
        )
        yield metric(both("the model that it replaces", "被替换的模型"), f"{before:.1%}", note)
    right, unsure = percent(teaching.right_where_sure()), percent(teaching.main.metrics.unsure)
    note = both(f"{unsure} are unsure; {right} of the others are right", f"{unsure} 为不确定；其余答案 {right} 正确")
    yield metric(both("unsure below", "低于此分数为不确定"), f"{teaching.taught.unsure_below:.2f}", note)


def _accuracy(name: str, evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    low, high = interval(metrics.top_1, metrics.images)
    note = both(
        f"95% confidence: {low:.1%} to {high:.1%}, {metrics.images} images",
        f"95% 置信区间：{low:.1%} 至 {high:.1%}，{metrics.images} 张图片",
    )
    return metric(name, f"{metrics.top_1:.1%}", note + interval_bar(metrics.top_1, low, high))


def _methods(teaching: Teaching) -> str:
    best, *_ = teaching.taught.accuracies.values()
    rows = [
        (words(name), number(percent(value)), number(f"{(value - best) * 100:+.1f}" if value != best else "0.0"))
        for name, value in teaching.taught.accuracies.items()
    ]
    header = ((both("method", "方法"), ""), (both("cross-validated", "交叉验证"), "number"),
              (both("points behind the best", "与最佳之差（百分点）"), "number"))  # fmt: skip
    return table(header, rows)


def _curve(teaching: Teaching) -> str:
    if teaching.curve.expected is None:
        return both("Too few images for a learning curve.", "图片太少，无法给出学习曲线。")
    note = both(
        "Cross-validated accuracy by the number of images; dashed: what twice as many would give.",
        "交叉验证的准确率随图片数量的变化；虚线：图片加倍后的预期。",
    )
    return f'<p class="quiet">{note}</p>{curve_picture(teaching.curve)}'


def _confusions(main: Evaluation) -> str:
    metrics, classes = main.metrics, main.metrics.classes
    note = both("A row for each true class, a column for each answer.", "每行为真实类别，每列为回答的类别。")
    if len(classes) > MAX_CLASSES:
        worst = np.argsort([2.0 if each.recall is None else each.recall for each in classes], kind="stable")[
            :MAX_CLASSES
        ]
        classes = tuple(classes[each] for each in worst.tolist())
        known = {each.index for each in classes}
        pairs = tuple(each for each in metrics.confusions if {each.truth, each.answered} <= known)
        metrics = replace(metrics, classes=classes, confusions=pairs)
        note += both(f" The {MAX_CLASSES} classes with the lowest recall.", f"召回率最低的 {MAX_CLASSES} 个类别。")
    return (
        f'<p class="quiet">{note}</p>{matrix(confusion_matrix(metrics), [main.label(each.index) for each in classes])}'
    )


def _classes(teaching: Teaching) -> str:
    learned = np.bincount([one.truth for one in teaching.learned], minlength=teaching.main.labels.count)
    few = both(f"fewer than {FEW} images: add some", f"不足 {FEW} 张：请补充")
    rows = [
        [
            words(teaching.label(each.index)),
            *map(number, (str(learned[each.index]), str(each.images), percent(each.recall), percent(each.precision))),
            (few if learned[each.index] < FEW else "", ""),
        ]
        for each in teaching.main.weakest_classes()
    ]
    names = (("learned", "学习"), ("judged by", "检验"), ("recall", "召回率"), ("precision", "精确率"))
    header = [(both("class", "类别"), ""), *((both(*name), "number") for name in names), ("", "")]
    return table(header, rows)


def _doubts(teaching: Teaching, urls: Urls) -> Iterator[str]:
    figures = []
    for each in teaching.doubts[:MAX_FIGURES]:
        name, answered, truth = (
            teaching.examples[each.position].name,
            teaching.label(each.answered),
            teaching.label(each.truth),
        )
        caption = both(f"is in {truth}, looks like {answered}", f"在 {truth} 中，看起来像 {answered}")
        figures.append(figure(urls.get(name, ""), f"{caption}<br><small>{text(name)}</small>"))
    title = both("Probably in the wrong folder: look at these", "可能放错了文件夹：请检查")
    yield from _gallery(title, figures, len(teaching.doubts))


def _mistakes(main: Evaluation, urls: Urls) -> Iterator[str]:
    figures = []
    for each in main.mistakes:
        answered, truth = main.label(each.answered), main.label(each.truth)
        caption = both(f"{answered} {each.score:.3f}, is {truth}", f"{answered} {each.score:.3f}，实为 {truth}")
        figures.append(figure(urls.get(each.file, ""), f"{caption}<br><small>{text(each.file)}</small>"))
    yield from _gallery(both("Wrong answers with the highest scores", "分数最高的错误答案"), figures, len(figures))


def _pairs(title: str, pairs: Sequence[Pair], urls: Urls) -> Iterator[str]:
    figures = [_pair(pair, urls) for pair in pairs[:MAX_FIGURES]]
    yield from _gallery(title, figures, len(pairs))


def _pair(pair: Pair, urls: Urls) -> str:
    def image(one: Example) -> str:
        url = urls.get(one.name, "")
        return f'<img src="{url}" alt="">' if url else ""

    names = "<br>".join(text(one.name) for one in pair)
    return f'<figure><div class="pair">{"".join(map(image, pair))}</div><figcaption>{names}</figcaption></figure>'


def _gallery(title: str, figures: Sequence[str], count: int) -> Iterator[str]:
    if figures:
        yield section(f"{title} ({count})", f'<div class="mistakes">{"".join(figures)}</div>')


def _files(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if rows:
        header = ((both("file", "文件"), ""), (both("reason", "原因"), ""))
        cells = [(words(name), words(reason)) for name, reason in rows[:MAX_FILES]]
        yield section(f"{title} ({len(rows)})", table(header, cells))
