// The connect page: it shows the state of its session, and sends what the person enters.
import { Api, Refusal } from "./api.js";
import { embedded, framed, tell } from "./parent.js";
import { drop, take } from "./token.js";
import * as view from "./view.js";

const PAUSES = [1000, 2000, 5000];
const LEAVE_AFTER = 1500;
const ENDED = ["connected", "cancelled", "expired"];
const CODE = /^[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]{4,10}$/;
const NOTHING = /[\s\p{Cf}\p{Pd}]/gu;

const api = new Api(take());
let state = null;
let busy = false;

await begin();

async function begin() {
  const first = await load();
  if (!first) return;
  const page = new URLSearchParams(location.search).get("session");
  if (framed && (!first.embed_origin || page !== first.id)) {
    view.showStep("invalid");
    return;
  }
  try {
    await view.speak(first.locale);
  } catch { /* the browser's language will do */ }
  render(first);
  tell("ready", first);
  setInterval(watchTime, 1000);
  follow();
}

/** Read the state, however long that takes; nothing if this session can't be used. */
async function load(seen) {
  for (let tries = 0; ; tries += 1) {
    try {
      const next = await api.state(seen);
      view.showOffline(false);
      return next;
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      if (!refusal.passes) {
        view.showOffline(false);
        view.showStep("invalid");
        drop();
        return null;
      }
      view.showOffline(tries > 0 || state === null);
      await pause(PAUSES[Math.min(tries, PAUSES.length - 1)]);
    }
  }
}

function pause(time) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, time);
    addEventListener("online", done);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
  });
}

/** Wait for the job of this session, as long as one runs. */
async function follow() {
  if (busy) return;
  busy = true;
  while (state?.step) {
    const next = await load(state.step.stage);
    if (!next) break;
    render(next);
  }
  busy = false;
}

function render(next) {
  const before = state;
  state = next;
  const failed = next.error && !next.step && before?.step;
  if (next.code || next.status === "connected") empty("password", "key", "tokens");
  if (failed && next.error.code === "invalid_credentials") empty("password");
  if (failed) empty("code");
  const changed = view.show(next);
  if (before && changed) tell("step", next);
  if (failed) tell("failed", next);
  if (ENDED.includes(view.stepOf(next))) end(before);
}

function empty(...fields) {
  for (const name of fields) document.getElementById(name).value = "";
  if (fields.includes("password")) showPassword(false);
}

function showPassword(shown) {
  document.getElementById("show-password").setAttribute("aria-pressed", String(shown));
  document.getElementById("password").type = shown ? "text" : "password";
}

function end(before) {
  if (embedded(state)) {
    tell(state.status === "connected" ? "connected" : "closed", state);
    document.getElementById("close").hidden = false;
    document.getElementById("leave").hidden = true;
    return;
  }
  if (!state.return_url) {
    document.getElementById("close").hidden = false;
    return;
  }
  const link = document.getElementById("return");
  link.href = returnAddress();
  // Not where the person came back by the browser's own button.
  if (before && state.status !== "expired") {
    document.querySelector("[data-for=connected] .back").hidden = false;
    setTimeout(() => location.replace(link.href), state.status === "connected" ? LEAVE_AFTER : 0);
  }
}

function returnAddress() {
  const address = new URL(state.return_url);
  address.searchParams.set("connect_session", state.id);
  address.searchParams.set("status", state.status);
  return address.href;
}

async function submit(step, body) {
  if (busy) return;
  busy = true;
  view.clearErrors();
  let refusal = null;
  try {
    render(await api.post(step, body));
    view.showOffline(false);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error;
  }
  busy = false;
  if (refusal) await recover(refusal);
  follow();
}

/** After a refusal, or no answer, the session knows what has happened. */
async function recover(refusal) {
  if (refusal.fields.length) {
    const names = { personal_api_key: "key" };
    view.showInvalid(names[refusal.fields[0]] ?? refusal.fields[0]);
    return;
  }
  const next = await load();
  if (!next) return;
  render(next);
  if (next.step || ENDED.includes(view.stepOf(next)) || next.error) return;
  view.showError(refusal.code, refusal.code === "offline" ? null : refusal.retryAfter);
}

async function watchTime() {
  if (!view.tick() || busy || !state?.code) return;
  const next = await load();
  if (next) render(next);
}

const forms = {
  "password-form": (form) => {
    const username = form.elements.username.value.trim();
    const password = form.elements.password.value;
    if (username.length < 3) return view.showInvalid("username");
    if (!password) return view.showInvalid("password");
    return submit("password", { username, password });
  },
  "key-form": (form) => {
    const key = form.elements.personal_api_key.value.trim();
    return key ? submit("import", { personal_api_key: key }) : view.showInvalid("key");
  },
  "import-form": (form) => {
    const tokens = form.elements.tokens.value.trim();
    return tokens ? submit("import", { tokens }) : view.showInvalid("tokens");
  },
  "code-form": (form) => {
    const code = form.elements.code.value.replace(NOTHING, "");
    return CODE.test(code) ? submit("code", { code }) : view.showInvalid("code");
  },
};

// Another link, opened in this tab: only its fragment differs.
addEventListener("hashchange", () => location.reload());

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (busy) return;
  view.clearErrors();
  forms[event.target.id]?.(event.target);
});

document.addEventListener("change", (event) => {
  if (event.target.name !== "method") return;
  view.clearErrors();
  view.choose(event.target.value);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.action) submit(button.dataset.action);
  if (button?.id === "show-password") showPassword(button.getAttribute("aria-pressed") !== "true");
});

document.addEventListener("visibilitychange", async () => {
  // Another tab may have gone on.
  if (document.hidden || busy || !state || ENDED.includes(view.stepOf(state))) return;
  const next = await load();
  if (!next) return;
  if (view.stepOf(next) === view.stepOf(state)) view.refresh(next);
  else render(next);
  follow();
});
