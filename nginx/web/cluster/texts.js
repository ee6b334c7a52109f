// The cluster view's texts in both languages.

import { number, plural } from "../language.js";
import { translator } from "../texts.js";

export const text = translator({
  en: {
    title: "Cluster",
    json: "Plain JSON",
    summary: (serving, all, servers) =>
      `${number(serving)} of ${plural(all, "worker", "workers")} in rotation, ${plural(servers, "server", "servers")}`,
    refused: "The state of the cluster is for keys of administrators.",
    silent: (seconds) =>
      seconds === null
        ? "The service is not responding. Trying again each second."
        : `The service has not responded for ${plural(seconds, "second", "seconds")}. Below is what it said last.`,
    stale: (seconds) =>
      `The gate has not reported for ${plural(seconds, "second", "seconds")}: Nginx goes on with the workers it knows.`,
    models: "Models",
    serving: (serving, all) => `${number(serving)} of ${plural(all, "worker", "workers")}`,
    unavailable: "No worker in rotation",
    version: (version) => `version ${version}`,
    rate: "images/s, last minute",
    p50: "p50",
    p99: "p99",
    percentiles: "Last 5 minutes; p50 and p99 of a request in its worker",
    quiet: "No image in the last 5 minutes",
    peak: (rate) => `peak ${rate} images/s`,
    servers: "Servers",
    columns: {
      slot: "Slot", hardware: "Runs on", state: "State", model: "Model", engine: "Engine",
      queued: "Queued", in_flight: "In flight", since: "Since",
    },
    cores: (count) => plural(count, "core", "cores"),
    gpu: "GPU",
    states: {
      in: "In rotation", joining: "Ready, joining", ejected: "Ejected", starting: "Starting",
      draining: "Draining", broken: "Broken", unreachable: "Not reachable",
    },
    kept: "still listed",
    changed: (worker, state) => `${worker}: ${state}`,
    more: (count) => `and ${number(count)} more`,
  },
  zh: {
    title: "集群",
    json: "原始 JSON",
    summary: (serving, all, servers) =>
      `${number(all)} 个工作进程中 ${number(serving)} 个在线，共 ${number(servers)} 台服务器`,
    refused: "集群状态仅限管理员密钥查看。",
    silent: (seconds) =>
      seconds === null ? "服务无响应，每秒自动重试。" : `服务已 ${number(seconds)} 秒无响应，以下为最后一次的状态。`,
    stale: (seconds) => `健康检查已 ${number(seconds)} 秒没有更新，Nginx 继续使用已知的工作进程。`,
    models: "模型",
    serving: (serving, all) => `${number(all)} 个工作进程中 ${number(serving)} 个在线`,
    unavailable: "没有在线的工作进程",
    version: (version) => `版本 ${version}`,
    rate: "张/秒（最近 1 分钟）",
    p50: "p50",
    p99: "p99",
    percentiles: "最近 5 分钟；p50、p99 为工作进程内单个请求的耗时",
    quiet: "最近 5 分钟没有图片",
    peak: (rate) => `峰值 ${rate} 张/秒`,
    servers: "服务器",
    columns: {
      slot: "槽位", hardware: "硬件", state: "状态", model: "模型", engine: "引擎",
      queued: "排队", in_flight: "处理中", since: "始于",
    },
    cores: (count) => `${number(count)} 核`,
    gpu: "GPU",
    states: {
      in: "在线", joining: "就绪，即将上线", ejected: "已隔离", starting: "启动中",
      draining: "排空中", broken: "故障", unreachable: "无法连接",
    },
    kept: "仍在列表中",
    changed: (worker, state) => `${worker}：${state}`,
    more: (count) => `另有 ${number(count)} 个`,
  },
});
