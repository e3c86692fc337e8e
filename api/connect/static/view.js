// What is shown of a state. All texts are in the page, in the person's language.
const FIELD_OF_METHOD = { personal_api_key: "key", import: "tokens" };
const KEY_ERRORS = ["key_rejected", "tokens_rejected", "tokens_unreadable", "tokens_not_renewable", "wrong_domain"];
const STAGES = {
  mfa_completion: ["waiting_for_worker", "checking_code", "reading_profile", "storing"],
  import: ["waiting_for_worker", "reading_profile", "storing"],
  other: ["waiting_for_worker", "contacting_garmin", "reading_profile", "storing"],
};
const ends = {};
let main = document.getElementById("connect");
let state = null;

const $ = (id) => document.getElementById(id);
const all = (selector) => document.querySelectorAll(selector);

/** Show the page in another language: the same page, asked for in it. */
export async function speak(language) {
  if (!language || document.documentElement.lang === language) return;
  const reply = await fetch(`connect?lang=${encodeURIComponent(language)}`);
  const other = new DOMParser().parseFromString(await reply.text(), "text/html");
  if (!reply.ok || !other.getElementById("connect")) return;
  document.documentElement.lang = other.documentElement.lang;
  document.title = other.title;
  document.body.replaceChildren(...other.body.childNodes);
  main = $("connect");
}

export function stepOf(state) {
  if (state.status === "connected" || state.status === "cancelled") return state.status;
  if (state.step && state.step.kind !== "code_resend") return "progress";
  if (state.expires_in <= 0) return "expired";
  return state.code ? "code" : "start";
}

/** Show a state; return whether it is another step than before. */
export function show(next) {
  state = next;
  if (main.dataset.step === "loading") prepare();
  const step = stepOf(state);
  if (step === "progress") showStages();
  showResending(state.step?.kind === "code_resend");
  if (state.code) showCode();
  if (step === "connected") showUser();
  const changed = showStep(step);
  $("leave").hidden = !(state.return_url && ["connected", "cancelled", "expired"].includes(step));
  if (state.error && !state.step) {
    showError(nameOfError(), state.error.retry_after);
  }
  return changed;
}

/** The same step, a while later: a phone may have slept meanwhile. */
export function refresh(next) {
  state = next;
  if (state.code) showCode();
}

export function showStep(step) {
  const before = main.dataset.step;
  main.dataset.step = step;
  for (const section of all("[data-for]")) section.hidden = section.dataset.for !== step;
  if (step !== "progress") $("progress").textContent = "";
  if (before === step) return false;
  clearErrors();
  if (before !== "loading" || step !== "start") {
    const heading = document.querySelector(`[data-for="${step}"] h2`);
    (step === "code" ? $("code") : heading).focus();
  }
  return true;
}

export function showOffline(offline) {
  $("offline").hidden = !offline;
}

export function showError(code, retryAfter = null) {
  const texts = $("errors").content;
  const text = texts.querySelector(`[data-error="${code}"]`) ?? texts.querySelector('[data-error="internal_error"]');
  const field = fieldOf(code);
  const place = $(field ? `${field}-error` : "start-error");
  clearErrors();
  place.replaceChildren(...text.cloneNode(true).childNodes);
  place.dataset.code = code;
  fill(place);
  place.hidden = false;
  ends.time = retryAfter === null ? null : performance.now() + retryAfter * 1000;
  $("start-wait").hidden = retryAfter === null || place.id !== "start-error";
  tick();
  if (field) mark(field);
}

/** Show what is wrong with a field that is not filled in rightly. */
export function showInvalid(name) {
  const place = $(`${name}-error`);
  place.textContent = place.dataset.empty ?? place.textContent;
  delete place.dataset.code;
  place.hidden = false;
  mark(name);
}

export function clearErrors() {
  for (const place of all(".field .error, #start-error")) {
    // Its first text says that the field is empty: it comes back.
    place.dataset.empty ??= place.textContent;
    place.hidden = true;
  }
  for (const field of all("[aria-invalid]")) unmark(field);
  $("start-wait").hidden = true;
}

export function choose(method) {
  for (const form of all("form[data-method]")) form.hidden = form.dataset.method !== method;
  const choice = document.querySelector(`input[name="method"][value="${method}"]`);
  if (choice) choice.checked = true;
}

export function method() {
  return document.querySelector("form[data-method]:not([hidden])")?.dataset.method;
}

/** Count down what has a time. Return whether the code's time has just run out. */
export function tick() {
  for (const element of all("[data-time]")) {
    const left = Math.max(0, Math.ceil(((ends[element.dataset.time] ?? 0) - performance.now()) / 1000));
    element.textContent = duration(left);
  }
  const waits = state?.step || ends.resend_time && ends.resend_time > performance.now();
  const possible = Boolean(state?.code) && state.code.resend_in !== null;
  $("resend-wait").hidden = !possible || !waits || Boolean(state.step);
  $("resend").hidden = !possible || waits;
  const over = Boolean(ends.time) && ends.time <= performance.now();
  if (over) $("start-wait").hidden = true;
  return Boolean(state?.code && !state.step && ends.code_time <= performance.now());
}

function prepare() {
  const root = document.documentElement.style;
  for (const scheme of ["light", "dark"]) {
    root.setProperty(`--${scheme}-accent`, state.app[scheme].accent);
    root.setProperty(`--${scheme}-on-accent`, state.app[scheme].on_accent);
  }
  fill(document);
  document.title = `${document.title} – ${state.app.name}`;
  $("methods").hidden = state.methods.length < 2;
  for (const label of all("[data-method-choice]")) label.hidden = !state.methods.includes(label.dataset.methodChoice);
  for (const name of [...state.methods].reverse()) $("methods").querySelector("legend").after(document.querySelector(`[data-method-choice="${name}"]`));
  choose(state.methods[0]);
}

function fill(part) {
  for (const element of part.querySelectorAll("[data-app]")) element.textContent = state?.app.name ?? "";
  for (const link of part.querySelectorAll("[data-garmin]")) {
    link.href = `https://connect.${state?.domain ?? "garmin.com"}/${link.dataset.garmin}`;
  }
}

function showUser() {
  for (const element of all("[data-user]")) element.textContent = state.user ?? "";
  for (const text of all("[data-named]")) text.hidden = (text.dataset.named === "yes") !== Boolean(state.user);
}

function showStages() {
  const { kind, stage } = state.step;
  const stages = STAGES[kind] ?? STAGES.other;
  for (const item of all("#stages [data-stage]")) {
    const place = stages.indexOf(item.dataset.stage);
    item.hidden = place < 0;
    item.className = place < stages.indexOf(stage) ? "done" : "";
    item.toggleAttribute("aria-current", item.dataset.stage === stage);
    if (item.dataset.stage === stage) {
      item.setAttribute("aria-current", "step");
      if ($("progress").textContent !== item.textContent) $("progress").textContent = item.textContent;
    }
  }
}

function showResending(now) {
  $("resending").hidden = !now;
  for (const button of all('[data-for="code"] button')) button.disabled = now;
}

function showCode() {
  const { type, destination, expires_in, attempts_left, resend_in } = state.code;
  const wanted = { email: 1, sms: 1 }[type] ? type + (destination ? "" : "-unknown") : type === "app" ? "app" : "other";
  for (const text of all("[data-sent]")) text.hidden = text.dataset.sent !== wanted;
  for (const element of all("[data-destination]")) element.textContent = destination ?? "";
  for (const element of all("[data-attempts]")) element.textContent = attempts_left;
  ends.code_time = performance.now() + expires_in * 1000;
  ends.resend_time = resend_in === null ? null : performance.now() + resend_in * 1000;
  tick();
}

function nameOfError() {
  const { code } = state.error;
  if (code === "garmin_rate_limited" && state.code) return "garmin_sends_no_code";
  return code === "tokens_rejected" && method() === "personal_api_key" ? "key_rejected" : code;
}

function fieldOf(code) {
  if (stepOf(state) === "code") return "code";
  if (KEY_ERRORS.includes(code)) return FIELD_OF_METHOD[method()] ?? null;
  return code === "invalid_credentials" && method() === "password" ? "password" : null;
}

/** A field is described by its error only while there is one. */
function mark(name) {
  const field = $(name);
  field.dataset.described ??= field.getAttribute("aria-describedby") ?? "";
  field.setAttribute("aria-describedby", `${name}-error ${field.dataset.described}`.trim());
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

function unmark(field) {
  field.removeAttribute("aria-invalid");
  if (field.dataset.described) field.setAttribute("aria-describedby", field.dataset.described);
  else field.removeAttribute("aria-describedby");
}

function duration(seconds) {
  const parts = seconds >= 3600 ? [["hour", Math.ceil(seconds / 3600)]]
    : [["minute", Math.floor(seconds / 60)], ["second", seconds % 60]].filter(([, number], place) => number || (place && seconds < 60));
  return parts.map(([unit, number]) => new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" }).format(number)).join(" ");
}
