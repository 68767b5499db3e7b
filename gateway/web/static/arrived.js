// The login ended in the tab that the agent sent back. The tab where it began takes over, so that one
// tab is left; where it is gone, or this one may not close itself, the portal opens here.
"use strict";

(() => {
  const ANSWER_MS = 400;
  const CLOSE_MS = 100;
  const target = document.getElementById("target").href;

  const goOn = () => location.replace(target);
  let channel;
  try {
    channel = new BroadcastChannel("cps-login");
  } catch {
    goOn();
    return;
  }
  const alone = setTimeout(goOn, ANSWER_MS);
  channel.onmessage = ({ data }) => {
    if (data?.waiting !== target) return;
    clearTimeout(alone);
    channel.onmessage = null;
    channel.postMessage({ closing: target });
    // Not every browser lets a page close a tab that a link opened: then it goes on here.
    setTimeout(() => {
      channel.postMessage({ staying: target });
      goOn();
    }, CLOSE_MS);
    close();
  };
  channel.postMessage({ arrived: target });
})();
