// Adds what only the browser itself can tell, and copies the report.
"use strict";

(async () => {
  const report = document.getElementById("report");
  const copy = document.getElementById("copy");

  function add(name, value) {
    report.textContent += `${name}: ${value}\n`;
  }

  function lastLogin() {
    try {
      return JSON.parse(localStorage.getItem("cps-login") ?? "{}");
    } catch {
      return { error: "storage blocked" };
    }
  }

  // Whether pages may reach this computer's own ports: a login does not need it, a blocked
  // navigation would be explained by it. Browsers before 145 know the older name, others none.
  async function loopbackPermission() {
    for (const name of ["loopback-network", "local-network-access"]) {
      try {
        return (await navigator.permissions.query({ name })).state;
      } catch {
        // Not known under this name.
      }
    }
    return "unknown to this browser";
  }

  // When the answer began is when the gateway looked at its clock, give or take the way here.
  const answered = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
  const skew = (performance.timeOrigin + answered - Number(report.dataset.now)) / 1000;
  const last = lastLogin();

  add("clock-skew", `${skew.toFixed(1)} s (this computer against the gateway)`);
  add("time-zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  add("cookies", navigator.cookieEnabled ? "enabled" : "blocked");
  add("secure-context", isSecureContext ? "yes" : "no");
  add("loopback-permission", await loopbackPermission());
  add("agent-last-seen", last.agentAt ?? "never by this browser");
  add("last-error", last.error ? `${last.error} ${last.errorAt ?? ""}` : "none");

  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(report);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(report.textContent);
      document.getElementById("copied").hidden = false;
    } catch {
      // It is selected: the keyboard copies it.
    }
  });
})();
