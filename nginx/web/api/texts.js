// The API view's texts in both languages, and in Chinese what the service describes in English.

import { number, page } from "../language.js";
import { translator } from "../texts.js";
import { ERRORS } from "../texts/errors.js";

export const text = translator({
  en: {
    title: "API",
    json: "OpenAPI document",
    lead: "HTTP with images as files, bytes or base64. Every error has a code, a message and a request ID.",
    loading: "Loading the description…",
    lost: "The description could not be loaded: no worker answers. Trying again each few seconds.",
    code: "Use it from code",
    languages: "Programming language",
    copy: "Copy",
    copied: "Copied",
    errors: "Error codes",
    errorColumns: ["Code", "Status", "Meaning and remedy"],
    groups: {
      predict: "Classify", models: "Models", v2: "Open Inference Protocol (Triton, KServe)", v1: "TensorFlow Serving, KServe v1",
      predictions: "TorchServe", health: "Health and description",
    },
    parameters: "Parameters",
    required: "required",
    body: "Body",
    above: (others) => (others ? "and the parameters above" : "the parameters above"),
    answers: "Answers",
    example: "Example",
    try: "Try it",
    form: "Form with files",
    file: "File as the body",
    bodyKind: "Body as",
    unset: "not sent",
    send: "Send",
    sending: "Sending…",
    choose: "Choose a file first.",
    away: "No answer: the service cannot be reached.",
    headers: (count) => `${number(count)} headers`,
    took: (milliseconds, bytes) => `${number(milliseconds)} ms, ${number(bytes)} bytes`,
    cut: (count) => `… (${number(count)} characters)`,
  },
  zh: {
    title: "接口",
    json: "OpenAPI 文档",
    lead: "通过 HTTP 发送图片：文件、字节或 base64。每个错误都有代码、说明和请求编号。",
    loading: "正在加载接口说明…",
    lost: "接口说明加载失败：没有工作进程应答，几秒后自动重试。",
    code: "在程序中使用",
    languages: "编程语言",
    copy: "复制",
    copied: "已复制",
    errors: "错误代码",
    errorColumns: ["代码", "状态", "含义与处理"],
    groups: {
      predict: "识别", models: "模型", v2: "Open Inference Protocol（Triton、KServe）", v1: "TensorFlow Serving、KServe v1",
      predictions: "TorchServe", health: "健康检查与说明",
    },
    parameters: "参数",
    required: "必填",
    body: "请求体",
    above: (others) => (others ? "以及上述参数" : "上述参数"),
    answers: "响应",
    example: "示例",
    try: "试一试",
    form: "文件表单",
    file: "文件作为请求体",
    bodyKind: "请求体形式",
    unset: "不发送",
    send: "发送",
    sending: "发送中…",
    choose: "请先选择文件。",
    away: "没有响应：无法连接服务。",
    headers: (count) => `${number(count)} 个响应头`,
    took: (milliseconds, bytes) => `${number(milliseconds)} 毫秒，${number(bytes)} 字节`,
    cut: (count) => `…（共 ${number(count)} 个字符）`,
  },
});

const ZH = {
  "What is served": "正在提供的模型",
  "What a model knows and takes": "模型的类别与输入要求",
  "An image to try the model on": "可用来试用模型的图片",
  "The Hugging Face Inference API for image classification, zero-shot likewise": "Hugging Face 推理接口：图像分类，也支持零样本",
  "Is the server alive?": "服务器是否存活？",
  "Does every model answer?": "所有模型是否可用？",
  "The server": "服务器信息",
  "What the worker has answered": "工作进程的统计",
  "The models and their states": "模型及其状态",
  "A model's inputs and outputs": "模型的输入与输出",
  "A model's configuration, as Triton writes it": "模型配置（Triton 格式）",
  "Does the model answer?": "模型是否可用？",
  "The Open Inference Protocol: images as BYTES [N], in JSON as base64 or as binary tensor data":
    "Open Inference Protocol：图片为 BYTES [N]，JSON 中用 base64，或用二进制张量",
  "The models' names": "模型名称",
  "A model's state": "模型状态",
  "TensorFlow Serving and KServe's v1 protocol: the best classes of each instance":
    "TensorFlow Serving 与 KServe v1 协议：每个实例的最佳类别",
  "TorchServe: the best classes of one image by their labels, as its image_classifier answers":
    "TorchServe：单张图片的最佳类别，格式同 image_classifier",
  "Is it ready?": "是否就绪？",
  "Is the process alive?": "进程是否存活？",
  "This document": "本接口文档",
};

const PARAMETERS_ZH = {
  top_k: "返回的类别数；不填时以模型文件夹的设置为准",
  threshold: "只返回不低于此分数的类别；不填时以模型文件夹的设置为准",
  labels: "`label` 的语言：模型有标签的某种语言，或中英文并列",
  heat_map: "绘制网络关注的区域，仅限单张图片；加 `Accept: image/png` 则只返回该图",
  class: "与 heat_map 同用：绘制哪个类别（序号）；不填则为最佳类别",
  candidate_labels: "零样本模型要区分的内容；JSON 以外用逗号分隔，或写成 JSON 列表",
  hypothesis_template: "套用 candidate_labels 的句子，以 {} 表示位置",
};

/** Return [language, text] of a parameter's or a field's description. */
export function descriptionOf(name, english) {
  return page.language === "zh" && PARAMETERS_ZH[name] ? ["zh-CN", PARAMETERS_ZH[name]] : ["en", english];
}

/** Return [language, text] of what an error code means and what helps. */
export function meaningOf(code, english) {
  const chinese = page.language === "zh" && ERRORS[code]?.programmers_zh;
  return chinese ? ["zh-CN", chinese] : ["en", english];
}

/** Return [language, text] of one of the document's summaries, in the page's language if it has one. */
export function summaryOf(english) {
  const several = english.match(/^Classify one image, or up to (\d+)$/);
  const chinese = several ? `识别一张图片，或一次最多 ${several[1]} 张` : ZH[english];
  return page.language === "zh" && chinese ? ["zh-CN", chinese] : ["en", english];
}
