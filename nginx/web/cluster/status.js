// What the answer of GET /status means. All pure.

const SEVERITY = { in: "good", joining: "some", starting: "some", draining: "some" }; // all others: bad

/** Return the word for a worker's state: "in", "joining", "ejected", or what the gate says of a worker that is not ready. */
export function stateOf(worker) {
  if (worker.state !== "ready") return worker.state;
  if (worker.in) return "in";
  return worker.reason ? "ejected" : "joining";
}

export const severityOf = (state) => SEVERITY[state] ?? "bad";

/** Return the workers by server, in the order of the status. */
export function byServer(workers) {
  const servers = new Map();
  for (const worker of workers) servers.set(worker.server, [...(servers.get(worker.server) ?? []), worker]);
  return servers;
}

/** Return how many CPUs a list such as "0-3,8" names; null if there is none. */
export function coresOf(cpus) {
  if (!cpus) return null;
  const ends = cpus.split(",").map((part) => part.split("-").map(Number));
  return ends.reduce((total, [first, last = first]) => total + last - first + 1, 0);
}

/** Return what `key` is in the workers of a model, each value once. */
export const valuesOf = (workers, key) => [...new Set(workers.map((worker) => worker[key]).filter(Boolean))];

/** Return the workers whose state differs from that in `before`, a map of states by worker; new ones do not count. */
export const changedSince = (before, workers) =>
  workers.filter((worker) => before.has(worker.worker) && before.get(worker.worker) !== stateOf(worker));
