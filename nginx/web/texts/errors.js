// Each error code for users of the page, as [headline, remedy] in both languages, and in Chinese for programmers, to whom
// the service says its meaning and remedy in English.

export const ERRORS = {
  bad_request: {
    users_zh: ["请求格式有误", "请重新加载页面后再试。"],
    users_en: ["Malformed request", "Reload the page and try again."],
    programmers_zh: "请求格式错误，或不符合该接口的要求。请按错误信息修改。",
  },
  bad_parameter: {
    users_zh: ["设置有误", "请检查“设置”中的内容。"],
    users_en: ["A setting is not valid", "Check what is entered in Settings."],
    programmers_zh: "参数未知、重复或取值不允许。请修改或去掉该参数。",
  },
  no_image: {
    users_zh: ["请求中没有图片", "请重新选择图片。"],
    users_en: ["The request contains no image", "Choose the image again."],
    programmers_zh: "请求中没有图片。请用 multipart 字段 `image` 发送，或直接作为请求体发送。",
  },
  empty_image: {
    users_zh: ["文件为空", "请检查原文件是否完整。"],
    users_en: ["The file is empty", "Check the original file."],
    programmers_zh: "图片为 0 字节。请确认发送前已读出文件内容。",
  },
  too_many_images: {
    users_zh: ["一次发送的图片太多", "请分批发送。"],
    users_en: ["Too many images at once", "Send fewer at a time."],
    programmers_zh: "图片数超过该接口单次允许的上限。请分成多个请求发送。",
  },
  unauthorized: {
    users_zh: ["需要密钥", "请重新加载页面并输入密钥。"],
    users_en: ["A key is needed", "Reload the page and enter one."],
    programmers_zh: "服务要求密钥，而请求没有带上有效的密钥。请以 Authorization: Bearer KEY 或 X-API-Key: KEY 发送密钥。",
  },
  forbidden: {
    users_zh: ["此密钥没有权限", "请联系管理员。"],
    users_en: ["The key is not for this", "Ask the administrator."],
    programmers_zh: "请求的密钥不能用于该模型或该接口。请向管理员申请合适的密钥。",
  },
  unknown_model: {
    users_zh: ["该模型已停止服务", "请选择其他模型后重试。"],
    users_en: ["This model is no longer served", "Choose another model, then retry."],
    programmers_zh: "没有这个名称的模型，或没有这个版本。请从错误信息或 GET /models 列出的模型中选择。",
  },
  unknown_example: {
    users_zh: ["该示例已不存在", "请重新加载页面。"],
    users_en: ["This example no longer exists", "Reload the page."],
    programmers_zh: "该模型没有这个编号的示例图片。请从 GET /models/NAME 列出的示例中选择。",
  },
  unknown_route: {
    users_zh: ["地址不存在", "请重新加载页面后再试。"],
    users_en: ["Nothing is served at this address", "Reload the page and try again."],
    programmers_zh: "该地址没有对应的接口。请从 GET /openapi.json 列出的接口中选择。",
  },
  method_not_allowed: {
    users_zh: ["该地址不支持此操作", "请重新加载页面后再试。"],
    users_en: ["This address does not allow the request", "Reload the page and try again."],
    programmers_zh: "该接口不支持此 HTTP 方法。请使用响应头 Allow 列出的方法。",
  },
  refused: {
    users_zh: ["服务拒绝了请求", "请重新加载页面后再试。"],
    users_en: ["The service refused the request", "Reload the page and try again."],
    programmers_zh: "If-Match 等条件不满足。请去掉该条件。",
  },
  body_too_large: {
    users_zh: ["文件太大", "请缩小图片，或在“设置”中取消“发送原图”。"],
    users_en: ["File too large", "Scale the image down, or turn off “Send originals” in Settings."],
    programmers_zh: "请求体超过上限，或分段太多。请减少图片数量，或缩小图片。",
  },
  uri_too_long: {
    users_zh: ["请求地址太长", "请减少“设置”中的内容。"],
    users_en: ["The address is too long", "Enter less in Settings."],
    programmers_zh: "请求地址太长。请把参数放进请求体。",
  },
  unsupported_type: {
    users_zh: ["不支持的图片格式", "请转换为 JPEG、PNG、WebP 或 HEIC 等格式。"],
    users_en: ["Unsupported format", "Convert the image to JPEG, PNG, WebP or HEIC."],
    programmers_zh: "请求体或图片的类型不受支持。请改用错误信息中列出的类型。",
  },
  unsupported_encoding: {
    users_zh: ["不支持的压缩编码", "请检查中间的代理设置。"],
    users_en: ["Unsupported compression of the request", "Check the proxy in between."],
    programmers_zh: "请求体的压缩方式不受支持。请使用响应头 Accept-Encoding 列出的方式，或不压缩。",
  },
  foreign_host: {
    users_zh: ["域名不属于本服务", "请用本机地址打开，或请管理员添加此域名。"],
    users_en: ["Unknown host name", "Open the page by the machine's address, or have the name added."],
    programmers_zh: "请求头 Host 中的名称可能属于其他网站，其网页可能借浏览器访问本服务。请使用本机的地址或名称访问，或在 cluster.toml 的 hosts 中加入该名称。",
  },
  undecodable: {
    users_zh: ["图片已损坏或不完整", "请重新获取完整的文件。"],
    users_en: ["The image is damaged or cut short", "Get a complete copy of the file."],
    programmers_zh: "图片已损坏或不完整。请发送完整的文件。",
  },
  too_many_pixels: {
    users_zh: ["图片像素过多", "请缩小图片后再发送。"],
    users_en: ["The image has too many pixels", "Scale it down."],
    programmers_zh: "图片像素数超过上限。请缩小图片。",
  },
  too_many_tiles: {
    users_zh: ["图片过大，切块数超出限制", "请缩小图片后再发送。"],
    users_en: ["The image is too large for this model", "Scale it down."],
    programmers_zh: "图片切块数超过上限。请缩小图片。",
  },
  too_few_bands: {
    users_zh: ["图片波段数不足", "请发送包含全部波段的图片。"],
    users_en: ["The image has too few bands", "Send an image with all bands."],
    programmers_zh: "图片的波段少于模型所需。请发送包含全部波段的图片。",
  },
  image_too_costly: {
    users_zh: ["解码此图片开销过大", "请缩小图片，或另存为普通 JPEG 或 PNG。"],
    users_en: ["The image takes too much work to decode", "Scale it down, or save it as a plain JPEG or PNG."],
    programmers_zh: "解码该图片所需的内存或计算量超出限制。请缩小图片，或另存为基线 JPEG 或非隔行 PNG。",
  },
  unsupported_compression: {
    users_zh: ["不支持此图片的压缩方式", "请另存为普通 JPEG 或 PNG。"],
    users_en: ["Unsupported compression of the image", "Save it as a plain JPEG or PNG."],
    programmers_zh: "图片格式受支持，但其压缩或存储方式不受支持。请按错误信息另存，例如存为 PNG 或基线 JPEG。",
  },
  tls_required: {
    users_zh: ["需要 HTTPS", "请用 https:// 打开本页。"],
    users_en: ["HTTPS needed", "Open this page with https://."],
    programmers_zh: "请求使用了明文 HTTP，而服务已启用 TLS。请在同一端口改用 https://。",
  },
  queue_full: {
    users_zh: ["服务繁忙", "请稍后重试。"],
    users_en: ["The service is busy", "Retry in a moment."],
    programmers_zh: "工作进程的队列放不下本次请求的图片。请按 Retry-After 的秒数等待后重发。",
  },
  too_many_requests: {
    users_zh: ["请求太多", "请稍后重试。"],
    users_en: ["Too many requests at once", "Retry in a moment."],
    programmers_zh: "该客户端或全部客户端同时发送的请求超过网关上限。请按 Retry-After 的秒数等待后重发，并减少并发。",
  },
  headers_too_large: {
    users_zh: ["请求头太长", "请清除本站的 Cookie 后再试。"],
    users_en: ["The request's headers are too long", "Clear this site's cookies and try again."],
    programmers_zh: "某个请求头太长。请缩短请求头。",
  },
  client_gone: {
    users_zh: ["连接已中断", "请重试。"],
    users_en: ["The connection was closed", "Retry."],
    programmers_zh: "客户端在收到响应前关闭了连接，或关闭了其中一个方向。请在收到响应之前保持双向连接。",
  },
  internal: {
    users_zh: ["识别此图片时出错", "请将请求编号告知管理员。"],
    users_en: ["Something went wrong with this image", "Report the request ID to the administrator."],
    programmers_zh: "工作进程处理该请求时出错。请上报请求编号，详情见工作进程的日志。",
  },
  gateway_failed: {
    users_zh: ["网关出错", "请将请求编号告知管理员。"],
    users_en: ["Something went wrong in the gateway", "Report the request ID to the administrator."],
    programmers_zh: "网关处理该请求时出错。请上报请求编号，详情见网关的错误日志。",
  },
  unknown_encoding: {
    users_zh: ["不支持的传输编码", "请检查中间的代理设置。"],
    users_en: ["Unsupported transfer encoding", "Check the proxy in between."],
    programmers_zh: "不支持该请求的 Transfer-Encoding。请使用 chunked 或 Content-Length。",
  },
  not_ready: {
    users_zh: ["暂时没有可用的工作进程", "请稍后重试。"],
    users_en: ["No worker is available", "Retry in a moment."],
    programmers_zh: "没有就绪的工作进程。请按 Retry-After 的秒数等待后重发；GET /status 可查看各工作进程的状态。",
  },
  deadline: {
    users_zh: ["等待超时", "请重试。"],
    users_en: ["The answer took too long", "Retry."],
    programmers_zh: "未能在规定时间内得出结果。请减少单次发送的图片，或稍后再试。",
  },
  unknown_version: {
    users_zh: ["不支持的 HTTP 版本", "请检查中间的代理设置。"],
    users_en: ["Unsupported HTTP version", "Check the proxy in between."],
    programmers_zh: "不支持该 HTTP 版本。请使用 HTTP/1.1。",
  },
};

// What the page finds itself, and by status what came without a code.
const OTHERS = {
  unreadable_file: {
    users_zh: ["无法读取文件", "文件可能已被移动、修改或删除，请重新选择。"],
    users_en: ["The file cannot be read", "It may have been moved, changed or deleted: choose it again."],
  },
  connection_lost: {
    users_zh: ["连接多次中断", "文件可能太大，或网络不稳定，请重试。"],
    users_en: ["The connection broke off again and again", "The file may be too large or the network unstable: retry."],
  },
  0: {
    users_zh: ["无法连接服务", "请检查网络后重试。"],
    users_en: ["The service cannot be reached", "Check the network, then retry."],
  },
  400: {
    users_zh: ["请求有误", "请重新加载页面后再试。"],
    users_en: ["Invalid request", "Reload the page and try again."],
  },
  401: {
    users_zh: ["需要登录", "请登录后重新加载页面。"],
    users_en: ["Sign-in needed", "Sign in, then reload the page."],
  },
  403: {
    users_zh: ["没有权限", "请联系管理员。"],
    users_en: ["Not allowed", "Ask the administrator."],
  },
  413: {
    users_zh: ["文件太大", "请缩小图片后再发送。"],
    users_en: ["File too large", "Scale the image down."],
  },
  502: {
    users_zh: ["服务暂时没有响应", "请稍后重试。"],
    users_en: ["The service did not answer", "Retry in a moment."],
  },
  504: {
    users_zh: ["等待超时", "请重试。"],
    users_en: ["The answer took too long", "Retry."],
  },
};

const UNEXPLAINED = {
  zh: (status) => [`服务返回了状态 ${status}`, "请稍后重试。"],
  en: (status) => [`The service answered with status ${status}`, "Retry in a moment."],
};

function forUsers(language) {
  const refused = Object.entries({ ...ERRORS, ...OTHERS }).map(([key, texts]) => [key, texts[`users_${language}`]]);
  return { refused: Object.fromEntries(refused), unexplained: UNEXPLAINED[language] };
}

export const TEXTS = { zh: forUsers("zh"), en: forUsers("en") };
