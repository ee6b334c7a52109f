// Every sentence of the page in both languages, and which of the two is shown.

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

const TEXTS = {
  zh: {
    title: "万物 · 图像识别",
    tagline: "图片里是什么？就在自己的机器上作答，无需联网。",
    invitation: "把图片放到这里",
    ways: "把文件或整个文件夹拖到页面任意处，直接粘贴，或点击选择。",
    choose: "选择图片",
    model: "模型",
    stop: "停止",
    clear: "清空",
    again: (count) => `重新发送 ${count} 张`,
    status: "集群状态",
    api: "接口说明",
    workers: (answering, all) => `${all} 个工作进程中有 ${answering} 个在应答`,
    silent: "服务目前没有应答",
    summary: (done, all) => (done === all ? `共 ${all} 张图片` : `已完成 ${done} / ${all} 张`),
    unanswered: (count) => `，${count} 张没有结果`,
    skipped: (count) => `文件夹里有 ${count} 个文件不是图片，没有发送。`,
    nothing: "这里面没有图片。",
    waiting: "等待中",
    sending: "识别中…",
    busy: (seconds) => `服务正忙，${seconds} 秒后自动重新发送。`,
    stopped: "已停止，没有结果。",
    unreachable: "无法连接服务。请检查网络，然后重新发送。",
    refused: {
      400: "请求有误",
      404: "没有这个模型",
      413: "文件太大",
      415: "不是支持的图片格式",
      422: "图片无法读取",
      500: "识别时出错",
      503: "暂时没有可用的工作进程",
      504: "等待超时",
    },
    unexplained: (status) => `服务返回了状态 ${status}，没有说明原因。`,
    timing: (worker, total) => `${worker} 毫秒 · 往返 ${total} 毫秒`,
    request: (id) => `请求编号 ${id}`,
    none: "无",
    look: "关注区域",
    heat: (label) => `热力图：识别为“${label}”时的关注区域`,
  },
  en: {
    title: "Wanwu · image classification",
    tagline: "What is in the picture? Answered on your own machines, offline.",
    invitation: "Put pictures here",
    ways: "Drop files or whole folders anywhere on this page, paste, or choose.",
    choose: "Choose pictures",
    model: "Model",
    stop: "Stop",
    clear: "Clear",
    again: (count) => `Send ${count} again`,
    status: "Cluster status",
    api: "API description",
    workers: (answering, all) => `${answering} of ${plural(all, "worker answers", "workers answer")}`,
    silent: "The service does not answer at the moment",
    summary: (done, all) => (done === all ? plural(all, "picture", "pictures") : `${done} of ${all} done`),
    unanswered: (count) => `, ${count} without an answer`,
    skipped: (count) => `${plural(count, "file is not a picture and was", "files are not pictures and were")} not sent.`,
    nothing: "There is no picture in this.",
    waiting: "Waiting",
    sending: "Looking…",
    busy: (seconds) => `The service is busy. This picture is sent again in ${plural(seconds, "second", "seconds")}.`,
    stopped: "Stopped before an answer came.",
    unreachable: "The service cannot be reached. Check the network, then send again.",
    refused: {
      400: "The request was not understood",
      404: "No such model",
      413: "The file is too large",
      415: "Not a kind of picture that is served",
      422: "The picture cannot be read",
      500: "Something went wrong with this picture",
      503: "No worker is free to answer",
      504: "The answer took too long",
    },
    unexplained: (status) => `The service answered with status ${status} and no explanation.`,
    timing: (worker, total) => `${worker} ms · round trip ${total} ms`,
    request: (id) => `request ${id}`,
    none: "none",
    look: "Where it looks",
    heat: (label) => `Heat map: where it looks to see “${label}”`,
  },
};

const KEY = "wanwu-language";

export const page = { language: remembered() ?? (navigator.language.startsWith("zh") ? "zh" : "en") };

/** The text called `key` in the page's language, with `values` filled in. */
export function text(key, ...values) {
  const found = TEXTS[page.language][key];
  return typeof found === "function" ? found(...values) : found;
}

export function percent(score) {
  return score.toLocaleString(page.language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

export function remember(language) {
  page.language = language;
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Storage may be blocked; the choice then lasts as long as the page.
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
