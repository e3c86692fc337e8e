// The requests of this page. An error has the `code` of the problem, or "offline".
const BASE = new URL("../api/connect", import.meta.url);
const LONGEST = 45_000;

export class Refusal extends Error {
  constructor(code, status = 0, retryAfter = null, fields = []) {
    super(code);
    Object.assign(this, { code, status, retryAfter, fields });
  }

  /** Whether the same request may succeed in a moment. */
  get passes() {
    return this.status === 0 || this.status >= 500;
  }
}

export class Api {
  #headers;

  constructor(token) {
    this.#headers = { Authorization: `Bearer ${token}` };
  }

  state(seen) {
    return this.#send("GET", seen ? `?wait=25&seen=${seen}` : "");
  }

  post(step, body) {
    return this.#send("POST", `/${step}`, body);
  }

  async #send(method, path, body) {
    const headers = { ...this.#headers };
    if (body) headers["Content-Type"] = "application/json";
    const options = { method, headers, body: body && JSON.stringify(body), cache: "no-store" };
    let reply, answer;
    try {
      reply = await fetch(BASE + path, { ...options, signal: AbortSignal.timeout(LONGEST) });
      answer = await reply.json();
    } catch {
      throw new Refusal(reply?.ok === false ? "service_unavailable" : "offline", reply?.status);
    }
    if (reply.ok) return answer;
    throw refusal(reply, answer);
  }
}

function refusal(reply, problem) {
  const wait = Number(reply.headers.get("Retry-After")) || null;
  const garmin = problem.unavailable?.includes("garmin");
  const fields = (problem.errors ?? []).map((error) => error.loc.at(-1));
  return new Refusal(garmin ? "garmin_rate_limited" : problem.code, reply.status, wait, fields);
}
