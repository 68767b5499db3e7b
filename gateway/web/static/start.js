// Sends on the code with which the agent opened this page. It stands behind the "#", which no
// browser sends by itself, and leaves the address at once, so that the history does not keep it.
"use strict";

(() => {
  const code = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  document.getElementById("no-script").hidden = true;
  if (!/^[A-Za-z0-9_-]{43}$/.test(code)) {
    document.getElementById("nothing").hidden = false;
    return;
  }
  const form = document.getElementById("start");
  document.getElementById("sending").hidden = false;
  form.elements.code.value = code;
  form.submit();
})();
