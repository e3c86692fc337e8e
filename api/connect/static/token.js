// The connect token: it comes in the fragment and travels in a header only. While the page is not
// seen (it is being reloaded, or the phone shows the mail with the code and may drop this page),
// the tab's session storage keeps it; as long as the page is seen, nothing does.
const NAME = "fittrack-connect";
let token = "";

export function take() {
  const fragment = location.hash.slice(1);
  if (fragment) {
    history.replaceState(null, "", location.pathname + location.search);
    token = fragment;
  }
  token ||= recall();
  forget();
  return token;
}

/** Nothing is kept any more: no session has this token. */
export function drop() {
  token = "";
  forget();
}

function recall() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch { // a frame without storage: a reload begins at the app
    return "";
  }
}

function forget() {
  try {
    sessionStorage.removeItem(NAME);
  } catch { /* nothing was kept */ }
}

function keep() {
  try {
    if (token) sessionStorage.setItem(NAME, token);
  } catch { /* see above */ }
}

// Another link to this page, opened in the same tab.
addEventListener("hashchange", () => location.reload());
addEventListener("pagehide", keep);
addEventListener("pageshow", forget);
document.addEventListener("visibilitychange", () => document.hidden ? keep() : forget());
