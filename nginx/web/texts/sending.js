// The texts of files on their way: what was skipped, what waits, and what the service says meanwhile.

import { number } from "../language.js";

export const TEXTS = {
  zh: {
    skipped: (names, more) =>
      `已跳过非图片文件：${names.join("、")}${more ? ` 等 ${number(names.length + more)} 个` : ""}。`,
    nothing: "未找到图片。",
    replaced: (old, now) => `模型 ${old} 已停止服务，其余图片改由 ${now} 识别。`,
    waiting: "等待中",
    sending: "识别中…",
    uploading: (share) => `上传中 ${share}`,
    stopped: "已停止，没有结果。",
    trouble: {
      away: "无法连接服务。",
      unavailable: "暂时没有可用的工作进程。",
      busy: "服务繁忙。",
      replaced: "模型正在更换。",
    },
    queued: (count) => `${number(count)} 张图片正在等待，恢复后自动继续。`,
    recovers: "恢复后页面自动继续。",
    countdown: (seconds) => (seconds > 0 ? `${seconds} 秒后重试` : "正在重试…"),
  },
  en: {
    skipped: (names, more) =>
      `Skipped, not an image: ${names.join(", ")}${more ? ` and ${number(more)} more` : ""}.`,
    nothing: "No images found.",
    replaced: (old, now) => `Model ${old} is no longer served; ${now} answers the remaining images.`,
    waiting: "Waiting",
    sending: "Classifying…",
    uploading: (share) => `Uploading ${share}`,
    stopped: "Stopped before an answer came.",
    trouble: {
      away: "The service cannot be reached.",
      unavailable: "No worker is available at the moment.",
      busy: "The service is busy.",
      replaced: "The model is being replaced.",
    },
    queued: (count) =>
      count === 1
        ? "1 image waits and continues by itself."
        : `${number(count)} images wait and continue by themselves.`,
    recovers: "The page continues by itself when it is back.",
    countdown: (seconds) => (seconds > 0 ? `Next try in ${seconds} s` : "Trying now…"),
  },
};
