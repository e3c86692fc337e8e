// The page that embeds this one in a frame, or opened it as a popup: told what happens, never what
// is secret or whose account it is. Only the origin that the app has named hears it.
const target = window.parent !== window ? window.parent : window.opener;

export const framed = window.parent !== window;

export function embedded(state) {
  return Boolean(target && state.embed_origin);
}

export function tell(event, state) {
  if (!embedded(state)) return;
  const message = { source: "fittrack-connect", version: 1, event, session: state.id };
  target.postMessage(message, state.embed_origin);
}
