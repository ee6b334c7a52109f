// The texts of the first screen, the service's state and the settings.

import { number, plural } from "../language.js";

export const TEXTS = {
  zh: {
    title: "万物 · 图像识别",
    tagline: "图片里是什么？本地离线识别。",
    invitation: "拖放图片到此处",
    ways: "支持图片文件或整个文件夹，拖到页面任意位置均可；也可粘贴或点击选择。",
    choose: "选择图片",
    folder: "选择文件夹",
    camera: "拍照",
    model: "模型",
    classes: (count) => `${number(count)} 个类别`,
    try: "试试这些示例：",
    lost: "示例加载失败。",
    views: "页面",
    classify: "识别",
    cluster: "集群",
    api: "接口",
    workers: {
      all: (answering, all) => `服务正常 · ${answering}/${all}`,
      some: (answering, all) => `部分可用 · ${answering}/${all}`,
      none: (answering, all) => `暂不可用 · ${answering}/${all}`,
    },
    silent: "服务无响应",
    settings: "设置",
    topK: "每张图片返回的类别数",
    threshold: "最低得分（%）",
    candidates: "候选标签，每行一个",
    template: "句子模板，标签代入 {} 处",
    originals: "发送原图",
    scaling: (side) =>
      side
        ? `默认先在浏览器中把大图缩小到短边 ${side} 像素（JPEG，质量 85%，色彩不减），上传更快。`
        : "该模型需要原图，不会缩小图片。",
    rerun: "按当前设置重新识别全部图片",
    modelDefault: "模型默认",
  },
  en: {
    title: "Wanwu · image classification",
    tagline: "What is in the image? Classified on your own machines, offline.",
    invitation: "Drop images here",
    ways: "Files or whole folders, anywhere on this page. You can also paste or choose them.",
    choose: "Choose images",
    folder: "Choose a folder",
    camera: "Take a photo",
    model: "Model",
    classes: (count) => plural(count, "class", "classes"),
    try: "Try one:",
    lost: "The example could not be loaded.",
    views: "Views",
    classify: "Classify",
    cluster: "Cluster",
    api: "API",
    workers: {
      all: (_, all) => `Online · ${plural(all, "worker", "workers")}`,
      some: (answering, all) => `Online · ${answering} of ${plural(all, "worker", "workers")}`,
      none: (_, all) => `Unavailable · 0 of ${plural(all, "worker", "workers")}`,
    },
    silent: "The service is not responding",
    settings: "Settings",
    topK: "Classes per answer",
    threshold: "Lowest score, %",
    candidates: "Labels to choose from, one per line",
    template: "Sentence that each label is put into, in place of {}",
    originals: "Send originals",
    scaling: (side) =>
      side
        ? `Otherwise large images are first scaled in the browser, to a shorter side of ${side} pixels (JPEG, quality 85%, all colours), which uploads faster.`
        : "This model needs originals: no image is scaled.",
    rerun: "Classify all images again with these settings",
    modelDefault: "the model's own",
  },
};
