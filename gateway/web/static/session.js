// Writes each time in the reader's own time zone, and warns before the session ends for want of
// activity. It never asks the gateway by itself: asking would be activity.
"use strict";

(() => {
  for (const time of document.querySelectorAll("time")) {
    const format = { hour: "2-digit", minute: "2-digit" };
    time.textContent = new Date(time.dateTime).toLocaleTimeString(document.documentElement.lang, format);
  }

  const session = document.getElementById("session");
  const ends = performance.now() + 1000 * Number(session.dataset.left);

  function show(moment) {
    for (const part of document.querySelectorAll("[data-when]")) {
      part.hidden = !part.dataset.when.split(" ").includes(moment);
    }
  }

  function look() {
    const left = ends - performance.now();
    if (left <= 0) show("over");
    else if (left <= 1000 * Number(session.dataset.warn)) show("soon");
  }

  look();
  setInterval(look, 1000);
})();
