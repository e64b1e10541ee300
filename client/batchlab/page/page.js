"use strict";
(() => {
  const language = document.documentElement.lang;
  const regional = navigator.languages.find((each) => each === language || each.startsWith(language + "-"));
  const local = new Intl.DateTimeFormat(regional || language, {
    weekday: "long", day: "numeric", month: "long", year: "numeric",
    hour: "numeric", minute: "2-digit", timeZoneName: "short",
  });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = local.format(at);
  }

  const main = document.querySelector("main[data-status]");
  if (!main) return;
  const SOON = 5000, LATEST = 60000;
  let wait = SOON, timer = 0;

  const show = (status) => {
    for (const place of document.querySelectorAll("[data-live]")) {
      const text = status.live[place.dataset.live];
      if (typeof text === "string" && place.textContent !== text) place.textContent = text;
    }
    const bar = document.querySelector("progress");
    if (bar && status.percent !== null) bar.value = status.percent;
  };

  const look = async () => {
    timer = 0;
    try {
      const answer = await fetch(main.dataset.status, { credentials: "omit" });
      if (answer.status === 404 || answer.status === 410) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const status = await answer.json();
      if (status.shape !== main.dataset.shape) return location.reload();
      show(status);
      wait = SOON;
    } catch {
      wait = Math.min(wait * 2, LATEST);
    }
    next();
  };
  const next = () => {
    if (!timer && !document.hidden) timer = setTimeout(look, wait);
  };
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    timer = 0;
    if (!document.hidden) look();
  });
  next();
})();
