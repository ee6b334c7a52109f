// The servers: a table of workers for each, which folds where there are many.

import { element, setAttribute, setText } from "../dom.js";
import { format, number, page } from "../language.js";
import { reasonInChinese } from "./reasons.js";
import { byServer, coresOf, severityOf, stateOf } from "./status.js";
import { text } from "./texts.js";

const COLUMNS = ["slot", "hardware", "state", "model", "engine", "queued", "in_flight", "since"];
const NUMBERS = new Set(["queued", "in_flight"]);
const OPEN_WORKERS = 48; // with more, only servers with a worker that does not serve are open at first
const DAY_MS = 86_400_000;

/** Show every server of `status` in `list`; the elements of `servers`, by name, are used again. */
export function showServers(list, servers, status) {
  const groups = byServer(status.workers);
  for (const [name, server] of servers) {
    if (groups.has(name)) continue;
    server.item.remove();
    servers.delete(name);
  }
  for (const [name, workers] of groups) {
    const open = status.workers.length <= OPEN_WORKERS || workers.some((worker) => stateOf(worker) !== "in");
    if (!servers.has(name)) servers.set(name, newServer(list, name, open));
    showServer(servers.get(name), workers);
  }
}

function newServer(list, name, open) {
  const server = { rows: new Map(), headings: {}, workers: [] };
  const heading = (column) => (server.headings[column] = element("th", { scope: "col", role: "columnheader", className: cellClass(column) }));
  server.count = element("span", { className: "quiet" });
  server.dots = element("span", { className: "dots", "aria-hidden": "true" });
  server.body = element("tbody", { role: "rowgroup" });
  // The roles stay where narrow screens show a row as a block.
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, COLUMNS.map(heading)));
  server.table = element("table", { role: "table" }, head, server.body);
  const summary = element("summary", {}, element("h4", {}, name), server.count, server.dots);
  server.item = element("details", { className: "server", open, toggle: () => showWorkers(server) }, summary, server.table);
  list.append(server.item);
  return server;
}

const cellClass = (column) => (NUMBERS.has(column) ? "number" : "");

function showServer(server, workers) {
  server.workers = workers;
  for (const column of COLUMNS) setText(server.headings[column], text("columns")[column]);
  const serving = workers.filter((worker) => worker.in).length;
  setText(server.count, text("serving", serving, workers.length));
  setAttribute(server.table, "aria-label", server.item.querySelector("h4").textContent);
  for (const [name, row] of server.rows) {
    if (workers.some((worker) => worker.worker === name)) continue;
    row.line.remove();
    row.dot.remove();
    server.rows.delete(name);
  }
  for (const worker of workers) {
    if (!server.rows.has(worker.worker)) server.rows.set(worker.worker, newRow(server));
    setAttribute(server.rows.get(worker.worker).dot, "data-severity", severityOf(stateOf(worker)));
  }
  showWorkers(server);
}

/** Update the rows of an open server whose worker, or the language, has changed. */
function showWorkers(server) {
  if (!server.item.open) return;
  for (const worker of server.workers) {
    const row = server.rows.get(worker.worker);
    const seen = page.language + JSON.stringify(worker);
    if (row.seen !== seen) showRow(row, worker);
    row.seen = seen;
  }
}

function newRow(server) {
  const row = { cells: {} };
  for (const column of COLUMNS) {
    const [tag, role] = column === "slot" ? ["th", "rowheader"] : ["td", "cell"];
    row.cells[column] = element(tag, { role, className: cellClass(column), scope: tag === "th" ? "row" : undefined });
  }
  row.value = element("span", { className: "state" });
  row.reason = element("span", { className: "reason" });
  row.cells.state.append(row.value, " ", row.reason);
  row.line = element("tr", { role: "row" }, Object.values(row.cells));
  row.dot = element("i");
  server.body.append(row.line);
  server.dots.append(row.dot);
  return row;
}

function showRow(row, worker) {
  const state = stateOf(worker);
  setAttribute(row.line, "data-severity", severityOf(state));
  setText(row.value, text("states")[state] ?? worker.state);
  showReason(row.reason, worker, state);
  for (const column of COLUMNS) {
    if (column !== "state") setText(row.cells[column], VALUES[column](worker));
    setAttribute(row.cells[column], "data-column", text("columns")[column]);
  }
  setAttribute(row.cells.slot, "title", worker.worker);
  setAttribute(row.cells.since, "title", worker.since);
}

function showReason(target, worker, state) {
  const chinese = page.language === "zh" && worker.reason ? reasonInChinese(worker.reason) : null;
  const kept = worker.in && state !== "in" ? text("kept") : "";
  setText(target, [chinese ?? worker.reason, kept].filter(Boolean).join(" · "));
  setAttribute(target, "lang", chinese || !worker.reason ? page.language : "en");
}

const VALUES = {
  slot: (worker) => worker.slot,
  hardware: (worker) => {
    const cores = coresOf(worker.cpus);
    return [worker.gpu && text("gpu"), cores && text("cores", cores)].filter(Boolean).join(" · ") || "–";
  },
  model: (worker) => [worker.model, worker.version].filter(Boolean).join(" "),
  engine: (worker) => [worker.engine, worker.precision].filter(Boolean).join(" · ") || "–",
  queued: (worker) => (worker.queued === null ? "–" : number(worker.queued)),
  in_flight: (worker) => (worker.in_flight === null ? "–" : number(worker.in_flight)),
  since: (worker) => moment(new Date(worker.since)),
};

/** Return the time of day, after a day the date as well. */
function moment(date) {
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  const day = { month: "short", day: "numeric" };
  return format("DateTimeFormat", Date.now() - date > DAY_MS ? { ...day, ...time } : time).format(date);
}
