// Writes each time in the reader's own time zone; without script it stays in UTC.
"use strict";

for (const time of document.querySelectorAll("time")) {
  const format = { hour: "2-digit", minute: "2-digit" };
  time.textContent = new Date(time.dateTime).toLocaleTimeString(document.documentElement.lang, format);
}
