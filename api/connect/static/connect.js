// FitTrackConnect.open({url, onEvent, container}): shows the connect page and resolves when the
// person has connected or left. With `container`, an element, it is shown there in a frame; else in
// a popup, or, where the browser allows none, in a frame over the page. Ask your server what is
// true: a browser can say anything.
(function (global) {
  "use strict";

  function open(options) {
    var url = new URL(options.url);
    var onEvent = options.onEvent || function () {};
    var popup = options.container ? null : openPopup(url.href);
    var frame = popup ? null : openFrame(url.href, options.container);

    return new Promise(function (resolve) {
      var session = null;
      var timer = popup ? setInterval(watch, 400) : 0;
      global.addEventListener("message", listen);

      function listen(message) {
        var data = message.data;
        var from = popup || frame.contentWindow;
        if (message.origin !== url.origin || message.source !== from) return;
        if (!data || data.source !== "fittrack-connect" || data.version !== 1) return;
        session = data.session;
        onEvent({ event: data.event, session: data.session });
        if (data.event === "connected") finish("connected");
        if (data.event === "closed") finish("closed");
      }

      function watch() {
        if (!popup.closed) return;
        onEvent({ event: "closed", session: session });
        finish("closed");
      }

      function finish(status) {
        clearInterval(timer);
        global.removeEventListener("message", listen);
        // Long enough to be read.
        setTimeout(close, status === "connected" ? 1200 : 0);
        resolve({ status: status, session: session });
      }

      function close() {
        if (popup) popup.close();
        else (frame.closest("dialog") || frame).remove();
      }

      if (frame && !options.container) {
        frame.closest("dialog").addEventListener("close", function () {
          onEvent({ event: "closed", session: session });
          finish("closed");
        });
      }
    });
  }

  function openPopup(href) {
    var width = 520, height = 760;
    var left = Math.max(0, (global.screenX || 0) + ((global.outerWidth || width) - width) / 2);
    var top = Math.max(0, (global.screenY || 0) + ((global.outerHeight || height) - height) / 2);
    return global.open(href, "", "popup,width=" + width + ",height=" + height + ",left=" + left + ",top=" + top);
  }

  function openFrame(href, container) {
    var frame = document.createElement("iframe");
    frame.src = href;
    frame.title = "Garmin";
    frame.referrerPolicy = "no-referrer";
    Object.assign(frame.style, { width: "100%", height: container ? "42rem" : "100%", border: "0" });
    if (container) {
      container.appendChild(frame);
      return frame;
    }
    var dialog = document.createElement("dialog");
    Object.assign(dialog.style, { width: "min(34rem, 100vw)", height: "min(48rem, 100vh)", padding: "0", border: "0" });
    dialog.appendChild(frame);
    document.body.appendChild(dialog);
    dialog.showModal();
    return frame;
  }

  global.FitTrackConnect = { open: open };
})(window);
