// The texts of the page in both languages, and the language in use. Each part of the page has a module in texts/.

<<<<<<< HEAD
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const number = (count) => count.toLocaleString(page.language);

const TEXTS = {
  zh: {
    title: "万物 · 图像识别",
    tagline: "图片里是什么？本地离线识别。",
    invitation: "拖放图片到此处",
    ways: "支持图片文件或整个文件夹，拖到页面任意位置均可；也可粘贴或点击选择。",
    choose: "选择图片",
    model: "模型",
    classes: (count) => `${number(count)} 个类别`,
    try: "试试这些示例：",
    lost: "示例加载失败。",
    stop: "停止",
    clear: "清空",
    again: (count) => `重试 ${count} 张`,
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
    summary: (done, all) => (done === all ? `共 ${all} 张图片` : `已完成 ${done} / ${all} 张`),
    unanswered: (count) => `，${count} 张没有结果`,
    skipped: (count) => `已跳过文件夹中的 ${count} 个非图片文件。`,
    nothing: "未找到图片。",
    waiting: "等待中",
    sending: "识别中…",
    busy: (seconds) => `服务繁忙，${seconds} 秒后自动重试。`,
    stopped: "已停止，没有结果。",
    unsure: (matches) => (matches ? "不太确定，最接近的是：" : "不太确定。"),
    refused: {
      0: "无法连接服务，请检查网络后重试。",
      400: "请求有误",
      404: "没有这个模型",
      413: "文件太大",
      415: "不支持的图片格式",
      422: "图片无法读取",
      500: "识别时出错",
      503: "暂时没有可用的工作进程",
      504: "等待超时",
      empty_image: "文件为空",
      unknown_model: "该模型已停止服务",
    },
    unexplained: (status) => `服务返回了状态 ${status}，没有说明原因。`,
    timing: (worker, total) => `服务端 ${worker} ms · 总耗时 ${total} ms`,
    request: (id) => `请求编号 ${id}`,
    none: "无",
    look: "热力图",
    heat: (label) => `热力图：识别为“${label}”时模型关注的区域`,
  },
  en: {
    title: "Wanwu · image classification",
    tagline: "What is in the image? Classified on your own machines, offline.",
    invitation: "Drop images here",
    ways: "Files or whole folders, anywhere on this page. You can also paste or choose them.",
    choose: "Choose images",
    model: "Model",
    classes: (count) => plural(count, "class", "classes"),
    try: "Try one:",
    lost: "The example could not be loaded.",
    stop: "Stop",
    clear: "Clear",
    again: (count) => `Retry ${count}`,
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
    summary: (done, all) => (done === all ? plural(all, "image", "images") : `${done} of ${all} done`),
    unanswered: (count) => `, ${count} without an answer`,
    skipped: (count) => `${plural(count, "file is not an image and was", "files are not images and were")} skipped.`,
    nothing: "No images found.",
    waiting: "Waiting",
    sending: "Classifying…",
    busy: (seconds) => `The service is busy. Retrying in ${plural(seconds, "second", "seconds")}.`,
    stopped: "Stopped before an answer came.",
    unsure: (matches) =>
      ["Not sure.", "Not sure. The closest match:"][matches] ?? "Not sure. The closest matches:",
    refused: {
      0: "The service cannot be reached. Check the network, then retry.",
      400: "Invalid request",
      404: "No such model",
      413: "File too large",
      415: "Unsupported format",
      422: "The image cannot be read",
      500: "Something went wrong with this image",
      503: "No worker is available",
      504: "The answer took too long",
      empty_image: "The file is empty",
      unknown_model: "This model is no longer served",
    },
    unexplained: (status) => `The service answered with status ${status} and no explanation.`,
    timing: (worker, total) => `${worker} ms on server, ${total} ms total`,
    request: (id) => `request ${id}`,
    none: "none",
    look: "Heat map",
    heat: (label) => `Heat map: where the model looks to see “${label}”`,
  },
};
=======
import { errors } from "./texts/errors.js";
import { TEXTS as PAGE } from "./texts/page.js";
import { TEXTS as RESULTS } from "./texts/results.js";
import { TEXTS as SENDING } from "./texts/sending.js";
>>>>>>> pagea

const PARTS = [PAGE, SENDING, RESULTS, errors];
const TEXTS = { zh: merged("zh"), en: merged("en") };
const KEY = "wanwu-language";

export const page = { language: remembered() ?? (navigator.language.startsWith("zh") ? "zh" : "en") };

function merged(language) {
  return Object.assign({}, ...PARTS.map((part) => part[language]));
}

/** Return the text `key` in the page's language, with `values` filled in. */
export function text(key, ...values) {
  const found = TEXTS[page.language][key];
  return typeof found === "function" ? found(...values) : found;
}

/** Return the label of a prediction or an example, in the page's language if it has one. */
export const labelOf = (row) => row[`label_${page.language}`] || row.label;

/** Return [language, text] from `texts`: in the page's language, else in its other one, else any; else ["", ""]. */
export function describe(texts) {
  const found = [page.language, ...Object.keys(TEXTS), ...Object.keys(texts)].find((language) => texts[language]);
  return found ? [found, texts[found]] : ["", ""];
}

export function percent(score) {
  return score.toLocaleString(page.language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

export function remember(language) {
  page.language = language;
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Storage may be blocked; then the choice lasts only as long as the page.
  }
}

function remembered() {
  try {
    const language = localStorage.getItem(KEY);
    return language in TEXTS ? language : null;
  } catch {
    return null;
  }
}
