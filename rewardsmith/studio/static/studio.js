// Script of the studio. Every page works without it, except that pages do not update by themselves and two videos have no
// common time slider.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// ---------------------------------------------------------------- message after a form: shown once, not after a reload

const address = new URL(location.href);
if (address.searchParams.has("ok")) {
  address.searchParams.delete("ok");
  history.replaceState(null, "", address);
}

// ---------------------------------------------------------------- light and dark

$("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `rewardsmith_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
});

// ---------------------------------------------------------------- keyboard: an element with data-key is clicked by its key

const NAMES = { " ": "space", ArrowLeft: "←", ArrowRight: "→" };

function showKeys() {
  const list = $("#keys dl");
  list.replaceChildren();
  for (const element of $$("[data-key]")) {
    const key = document.createElement("kbd");
    key.textContent = NAMES[element.dataset.key] || element.dataset.key;
    const term = document.createElement("dt");
    term.append(key);
    const description = document.createElement("dd");
    description.textContent = element.dataset.help;
    list.append(term, description);
  }
  $("#keys").showModal();
}

$("#help").addEventListener("click", showKeys);

document.addEventListener("keydown", (event) => {
  // A key that is held down must not answer for pairs that nobody has seen.
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || $("#keys").open) return;
  const typing = event.target.matches("textarea, select, input:not([type=range])");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || (event.key === " " && event.target.matches("button, a, summary, [tabindex]"))) return;
  const element = $$("[data-key]").find((candidate) => candidate.dataset.key === event.key);
  if (!element) return;
  event.preventDefault();
  if (element.matches("textarea, input")) element.focus();
  else element.click();
});

// ---------------------------------------------------------------- a run that is running

const live = $("#live");

// Disables the forms while a search is running; returns whether one is.
function applyStatus() {
  const running = $("#state", live).dataset.status === "running";
  for (const form of $$(".quiet-while-running")) {
    $("fieldset", form).disabled = running;
    $(".busy", form).hidden = !running;
  }
  return running;
}

async function followRun(tag) {
  let running = applyStatus();
  try {
    const answer = await fetch(live.dataset.live, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      const scrolled = $(".wide", live)?.scrollLeft || 0;
      const focused = document.activeElement?.dataset?.key;
      live.innerHTML = await answer.text(); // rendered and escaped by the studio
      if ($(".wide", live)) $(".wide", live).scrollLeft = scrolled;
      if (focused) $(`[data-key="${CSS.escape(focused)}"]`, live)?.focus();
      tag = answer.headers.get("ETag");
      const wasRunning = running;
      running = applyStatus();
      // The generation has used the pending feedback: the rest of the page has changed too.
      if (wasRunning && !running && !$$("textarea").some((area) => area.value)) location.reload();
    } else if (answer.status === 403) {
      return;
    }
  } catch {
    running = false; // the studio is closed, or the machine sleeps: ask again later
  }
  setTimeout(followRun, running ? 1200 : 4000, tag);
}

if (live) followRun(null);

// ---------------------------------------------------------------- a video that is being rendered

async function waitForVideo() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!$("[data-wait]", page) || $$("video", page).length > $$("video").length) {
      location.reload();
      return;
    }
  } catch {
    // asked again in the next round
  }
  setTimeout(waitForVideo, 1500);
}

if ($("[data-wait]")) setTimeout(waitForVideo, 1500);

// ---------------------------------------------------------------- videos are rendered before they are asked for

// The pair on this page at once; the next pair when this one can be watched, so that the two do not slow each other down.
const requestVideos = (form) =>
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
const renderNow = $("[data-render-now]");
const renderAhead = $("[data-render-ahead]");
if (renderNow) requestVideos(renderNow).then(() => location.reload(), () => {});
else if (renderAhead && !$("[data-wait]")) requestVideos(renderAhead).catch(() => {});

// ---------------------------------------------------------------- two videos with one time slider

const films = $$("#stage video");

if (films.length === 2 && $("#scrub")) {
  const scrub = $("#scrub");
  const end = () => Math.max(...films.map((film) => film.duration || 0));
  let moment = 0; // seconds, in both videos
  let playing = false;
  let last = 0;

  const show = () => {
    scrub.value = end() ? (1000 * moment) / end() : 0;
    $("#clock").textContent = `${moment.toFixed(1)} s`;
    for (const film of films) {
      const step = Math.min(Math.round(film.currentTime * film.dataset.fps) * film.dataset.stride, film.dataset.length);
      $(".at", film.closest(".side")).textContent = `step ${step}${film.ended || moment > film.duration ? ", ended" : ""}`;
    }
  };
  const seek = (to) => {
    moment = clamp(to, 0, end());
    for (const film of films) film.currentTime = Math.min(moment, Math.max((film.duration || 0) - 0.001, 0));
    show();
  };
  const pause = () => {
    playing = false;
    films.forEach((film) => film.pause());
    $("#play").textContent = "▶";
  };
  const tick = (now) => {
    if (!playing) return;
    moment += ((now - last) / 1000) * $("#speed").value;
    last = now;
    if (moment >= end()) {
      seek(end());
      pause();
      return;
    }
    for (const film of films) {
      // One clock drives both: a video that differs from it by more than two frames is corrected.
      if (moment < film.duration && Math.abs(film.currentTime - moment) > 2.5 / film.dataset.fps) film.currentTime = moment;
    }
    show();
    requestAnimationFrame(tick);
  };
  const play = () => {
    if (moment >= end() - 0.05) seek(0);
    playing = true;
    last = performance.now();
    $("#play").textContent = "❚❚";
    for (const film of films) {
      film.playbackRate = $("#speed").value;
      film.currentTime = Math.min(moment, film.duration);
      if (moment < film.duration) film.play().catch(() => {});
    }
    requestAnimationFrame(tick);
  };
  const step = (direction) => {
    pause();
    seek(moment + direction / films[0].dataset.fps);
  };

  $("#play").addEventListener("click", () => (playing ? pause() : play()));
  $("#step-back").addEventListener("click", () => step(-1));
  $("#step-on").addEventListener("click", () => step(1));
  scrub.addEventListener("input", () => {
    pause();
    seek((end() * scrub.value) / 1000);
  });
  $("#speed").addEventListener("change", () => films.forEach((film) => (film.playbackRate = $("#speed").value)));
  films.forEach((film) => film.addEventListener("loadedmetadata", show));
  films.forEach((film) => film.addEventListener("seeked", show));
}

// ---------------------------------------------------------------- weights

const terms = $$(".term");

function showShares() {
  // Share of a term under random actions, per unit of weight, times the weight on its slider.
  const sizes = terms.map((term) => {
    const original = Math.abs(term.dataset.weight);
    return original ? (term.dataset.share / original) * Math.abs($("input[type=number]", term).value) : 0;
  });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  terms.forEach((term, index) => {
    $(".share", term).textContent = total ? `${Math.round((100 * sizes[index]) / total)} %` : "";
    term.classList.toggle("changed", Number($("input[type=number]", term).value) !== Number(term.dataset.weight));
  });
}

for (const term of terms) {
  const slider = $("input[type=range]", term);
  const number = $("input[type=number]", term);
  slider.value = number.value;
  slider.addEventListener("input", () => {
    number.value = Number(Number(slider.value).toPrecision(3));
    showShares();
  });
  number.addEventListener("input", () => {
    slider.value = number.value;
    showShares();
  });
}
if (terms.length) showShares();

// ---------------------------------------------------------------- the editor

const editor = $(".editor");

if (editor) {
  const area = $("textarea", editor);
  const margin = $(".margin", editor);
  const verdict = $(".verdict", editor);
  let timer = 0;
  let checks = 0;

  const numberLines = () => {
    const worst = {};
    for (const finding of $$("li", margin)) {
      const line = finding.dataset.line;
      if (worst[line] !== "error") worst[line] = finding.classList.contains("error") ? "error" : "warning";
    }
    const lines = area.value.split("\n").map((_, index) => {
      const mark = document.createElement(worst[index + 1] ? "b" : "span");
      mark.className = worst[index + 1] || "";
      mark.textContent = `${index + 1}\n`;
      return mark;
    });
    $(".gutter", editor).replaceChildren(...lines);
    area.rows = clamp(lines.length + 2, 14, 60);
    placeFindings();
  };

  // Each finding is placed next to its line, or below the one before it where there is no room.
  const placeFindings = () => {
    const wide = matchMedia("(min-width: 801px)").matches;
    let free = 0;
    for (const finding of $$("li", margin)) {
      const top = wide ? Math.max(free, 12 + 20 * (finding.dataset.line - 1) - area.scrollTop) : 0;
      finding.style.marginTop = wide ? `${Math.max(top - free, 0)}px` : "";
      free = top + finding.offsetHeight + 6;
    }
    $(".gutter", editor).scrollTop = area.scrollTop;
  };

  const check = async () => {
    const thisCheck = ++checks;
    try {
      const answer = await fetch(editor.dataset.check, { method: "POST", body: new URLSearchParams({ source: area.value }) });
      if (thisCheck !== checks) return;
      if (!answer.ok) throw new Error(`${answer.status}`);
      const verdictOfCritic = await answer.json();
      margin.replaceChildren(
        ...verdictOfCritic.findings.sort((a, b) => (a.line || 0) - (b.line || 0)).map((finding) => {
          const item = document.createElement("li");
          item.className = `finding ${finding.severity}`;
          item.dataset.line = finding.line || 0;
          const where = document.createElement("b");
          where.textContent = finding.line ? `line ${finding.line}` : finding.severity;
          item.append(where, ` ${finding.message}`);
          return item;
        }),
      );
      verdict.textContent = verdictOfCritic.accepted ? "The critic accepts this program." : "The critic does not accept this program yet.";
      verdict.className = `verdict ${verdictOfCritic.accepted ? "yes" : "no"}`;
      numberLines();
    } catch {
      if (thisCheck === checks) verdict.textContent = "The check did not work; it is repeated after the next change.";
    }
  };

  area.addEventListener("input", () => {
    numberLines();
    clearTimeout(timer);
    verdict.textContent = "…";
    verdict.className = "verdict";
    timer = setTimeout(check, 500);
  });
  area.addEventListener("scroll", placeFindings);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey) return;
    event.preventDefault();
    area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  });
  numberLines();
}
