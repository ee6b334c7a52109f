// Why a worker is not in rotation, in Chinese: the gate says it in English (nginx/gate/reasons.py).

const ZH = {
  "not probed yet": "尚未检查",
  "timed out": "超时",
  "[Errno {number}] {fault}": "系统错误 {number}：{fault}",
  "{host} has no address: {fault}": "主机名 {host} 无法解析：{fault}",
  "{host}: the name server has not answered yet": "主机名 {host}：域名服务器尚未应答",
  "{address}: found port {port}, needed one from 1 to 65535": "{address}：端口 {port} 无效，应为 1 到 65535",
  "it hung up": "连接被对方关闭",
  "it closed the connection in the middle of its answer": "响应未发完，连接就被关闭",
  "it sent more than {size} KB of headers": "响应头超过 {size} KB",
  "it answered without an HTTP status": "响应不是 HTTP",
  "it sent a header with a line feed": "响应头中含有换行符",
  "found Content-Length {length!r}, needed a number": "Content-Length 为 {length}，应为数字",
  "it sent a chunk without a length": "分块传输缺少长度",
  "its /readyz answered {status} without a known state": "/readyz 返回 {status}，但没有可识别的状态",
  "its /readyz answered {status} but says {state}": "/readyz 返回 {status}，却自称 {state}",
  "{address} answers as worker {worker!r} of model {model!r}": "{address} 上应答的是模型 {model} 的工作进程 {worker}",
  "it answered with server errors while the others did not: ejected, for the {times}. time":
    "只有它返回服务器错误，已第 {times} 次隔离",
};

// The system's own words, by number.
const FAULTS_ZH = { 101: "网络不可达", 104: "连接被重置", 110: "连接超时", 111: "连接被拒绝", 113: "主机不可达" };

const PATTERNS = Object.entries(ZH).map(([english, chinese]) => [patternOf(english), chinese]);

function patternOf(english) {
  const escaped = english.replace(/[.*+?^$()[\]|\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{(\w+)(?:!r)?\}/g, "(?<$1>.*)")}$`, "s");
}

/** Return the reason in Chinese, null if it is none of the gate's own. */
export function reasonInChinese(english) {
  const [found, chinese] = PATTERNS.map(([pattern, words]) => [pattern.exec(english), words]).find(([match]) => match) ?? [];
  if (!found) return null;
  if (FAULTS_ZH[found.groups?.number]) return FAULTS_ZH[found.groups.number];
  return chinese.replace(/\{(\w+)\}/g, (_, name) => found.groups[name]);
}
