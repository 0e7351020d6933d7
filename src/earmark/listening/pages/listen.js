"use strict";
// Texts of the corpus reach the page by textContent and attributes alone, so that none of them is ever read as HTML.
const SVG = "http://www.w3.org/2000/svg";
const PAGE = 60; // clips that are shown at one time
const STRIPS = 12; // tags over time
const $ = (id) => document.getElementById(id);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

let data = null;
let order = []; // the numbers of the clips that are chosen, sorted
let shown = 0;
let opened = null; // {number, item, audio, wave, line}

const make = (name, kind, text) => {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
};
const draw = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const clock = (seconds) => {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

// --- which clips, in which order

const kind = (clip, tag) => {
  const [has, got] = [clip.hasSet.has(tag), clip.gotSet.has(tag)];
  return has ? (got ? "hit" : "missed") : got ? "extra" : "none";
};
const wrong = (clip, tag) => ["missed", "extra"].includes(kind(clip, tag));
const error = (clip, tag) => {
  // how sure the tagger is of its worst mistake; with one tag, the clips that it gets right follow, the nearest first
  if (tag !== null) return (wrong(clip, tag) ? 1 : -1) * (clip.sure[tag] ?? 0);
  return Math.max(0, ...clip.wrong.map((at) => clip.sure[at] ?? 0));
};
const chosen = (clip, tag, show, words) => {
  if (!`${clip.file} ${clip.id}`.toLowerCase().includes(words)) return false;
  if (tag !== null && kind(clip, tag) === "none") return false;
  const mistakes = tag === null ? clip.wrong : clip.wrong.filter((at) => at === tag);
  if (show === "any") return true;
  if (show === "right") return !mistakes.length;
  return mistakes.some((at) => show === "wrong" || kind(clip, at) === show);
};
const choose = () => {
  const tag = $("tag").value === "" ? null : Number($("tag").value);
  const [show, sort, words] = [$("show").value, $("sort").value, $("search").value.trim().toLowerCase()];
  const value = {
    error: (clip) => error(clip, tag),
    score: (clip) => (tag === null ? Math.max(...clip.scores) : clip.scores[tag]),
    name: () => 0,
  }[sort];
  order = data.clips.filter((clip) => chosen(clip, tag, show, words));
  order.sort((a, b) => value(b) - value(a) || a.file.localeCompare(b.file, "en") || a.number - b.number);
  close();
  shown = 0;
  $("clips").replaceChildren();
  more();
  $("told").textContent = `${order.length} of ${data.clips.length} clips`;
};
const more = () => {
  for (const clip of order.slice(shown, shown + PAGE)) $("clips").append(row(clip));
  shown = Math.min(order.length, shown + PAGE);
  $("more").hidden = shown >= order.length;
};

// --- a clip

const SIGNS = { hit: "✓", missed: "−", extra: "+" };
const SPOKEN = { hit: "heard", missed: "missed", extra: "wrongly predicted" };
const told = (clip) => {
  // the surest mistake first, then what is right, the most probable first
  const tags = [...new Set([...clip.has, ...clip.got])];
  const weight = (tag) => (wrong(clip, tag) ? 2 + (clip.sure[tag] ?? 0) : clip.scores[tag]);
  return tags.sort((a, b) => weight(b) - weight(a) || a - b);
};
const row = (clip) => {
  const item = make("li", "clip");
  const head = make("button", "head");
  head.type = "button";
  head.setAttribute("aria-expanded", "false");
  head.append(make("span", "name", clip.file));
  const worst = error(clip, null);
  head.append(make("span", "soft", clip.wrong.length ? `error ${worst.toFixed(2)}` : "no mistake"));
  const tags = make("span", "tags");
  for (const tag of told(clip)) {
    const which = kind(clip, tag);
    const chip = make("span", `tag ${which}`, `${SIGNS[which]} ${data.tags[tag]}`);
    chip.title = `${data.tags[tag]}: ${SPOKEN[which]}, score ${clip.scores[tag]}`;
    tags.append(chip, " ");
  }
  head.append(tags);
  head.addEventListener("click", () => (opened?.item === item ? toggle() : open(clip, item)));
  item.append(head);
  item.dataset.number = clip.number;
  return item;
};
const close = () => {
  if (!opened) return;
  opened.audio.pause();
  opened.audio.removeAttribute("src");
  opened.audio.load();
  opened.panel.remove();
  opened.item.classList.remove("open");
  opened.item.firstChild.setAttribute("aria-expanded", "false");
  opened = null;
};
const open = (clip, item) => {
  close();
  const panel = $("panel-form").content.firstElementChild.cloneNode(true);
  const audio = panel.querySelector("audio");
  const here = { clip, item, panel, audio, wave: panel.querySelector(".wave"), line: make("div", "head-line"), seconds: 0 };
  opened = here;
  audio.setAttribute("aria-label", clip.file);
  audio.src = `/audio/${clip.number}`;
  audio.addEventListener("error", () => here === opened && trouble(here, "This clip cannot be played", `/audio/${clip.number}`));
  audio.addEventListener("timeupdate", () => place(here));
  audio.addEventListener("play", () => calm.matches || requestAnimationFrame(() => follow(here)));
  panel.querySelector("tbody").append(...told(clip).map((tag) => cells(clip, tag)));
  item.append(panel);
  item.classList.add("open");
  item.firstChild.setAttribute("aria-expanded", "true");
  seeking(here);
  audio.play().catch(() => {}); // the browser may want another press
  hear(here);
};
const cells = (clip, tag) => {
  const line = make("tr");
  const head = make("th", "", data.tags[tag]);
  head.scope = "row";
  const label = { hit: "has it", missed: "has it: missed", extra: "lacks it: wrong" }[kind(clip, tag)];
  const numbers = [clip.scores[tag], data.thresholds[tag], clip.sure[tag]];
  line.append(head, make("td", "told", label), ...numbers.map((value) => make("td", "", value === null ? "-" : value.toFixed(3))));
  return line;
};
const trouble = async (here, text, address) => {
  const said = here.panel.querySelector(".trouble");
  const answer = address ? await fetch(address, { headers: { Range: "bytes=0-0" } }).catch(() => null) : null;
  const reason = answer && !answer.ok ? `: ${await answer.text()}` : answer ? ": the browser does not know its format" : "";
  said.textContent = text + reason;
  said.hidden = false;
};

// --- the waveform, and tags over time

const hear = async (here) => {
  const waiting = here.panel.querySelector(".waiting");
  let found;
  try {
    const answer = await fetch(`/timeline/${here.clip.number}`);
    if (!answer.ok) throw new Error(await answer.text());
    found = await answer.json();
  } catch (problem) {
    waiting.remove();
    trouble(here, problem.message);
    return;
  }
  waiting.remove();
  here.seconds = found.seconds;
  here.wave.append(waveform(found));
  const time = here.panel.querySelector(".time");
  for (const tag of strips(here.clip)) time.append(make("span", "name", data.tags[tag]), strip(found, tag));
  here.line.setAttribute("aria-hidden", "true");
  time.append(here.line);
  place(here);
};
const strips = (clip) => {
  const rest = data.tags.map((_, tag) => tag).filter((tag) => !clip.hasSet.has(tag) && !clip.gotSet.has(tag));
  rest.sort((a, b) => clip.scores[b] - clip.scores[a]);
  return [...told(clip), ...rest].slice(0, STRIPS);
};
const waveform = (found) => {
  const most = Math.max(1e-6, ...found.peaks);
  const heights = found.peaks.map((peak) => Math.max(0.4, (30 * peak) / most).toFixed(1));
  const width = heights.length;
  const upper = heights.map((height, x) => `${x} ${(32 - height).toFixed(1)}`);
  const lower = heights.map((height, x) => `${x} ${(32 + Number(height)).toFixed(1)}`).reverse();
  const image = draw("svg", { viewBox: `0 0 ${width} 64`, preserveAspectRatio: "none", "aria-hidden": "true" });
  image.append(draw("path", { d: `M${[...upper, ...lower].join("L")}Z` }));
  return image;
};
const strip = (found, tag) => {
  const [scores, threshold] = [found.scores[tag], data.thresholds[tag]];
  const box = make("div", "strip");
  const over = scores.filter((score) => score >= threshold).length;
  const highest = scores.indexOf(Math.max(...scores));
  const said = `${data.tags[tag]}: at or above its threshold in ${over} of ${scores.length} parts, highest ${scores[highest]} at ${clock(found.edges[highest])}`;
  const image = draw("svg", { viewBox: `0 0 ${found.seconds} 18`, preserveAspectRatio: "none", role: "img", "aria-label": said });
  scores.forEach((score, part) => {
    const [start, end] = [found.edges[part], found.edges[part + 1]];
    const cell = draw("rect", { class: "score", x: start, y: 0, width: end - start, height: 18, "fill-opacity": score });
    const title = draw("title", {});
    title.textContent = `${data.tags[tag]} ${score} from ${clock(start)} to ${clock(end)}`;
    cell.append(title);
    image.append(cell);
    if (score >= threshold) image.append(draw("rect", { class: "over", x: start, y: 15, width: end - start, height: 3 }));
  });
  box.append(image);
  return box;
};

// --- time

const length = (here) => (Number.isFinite(here.audio.duration) ? here.audio.duration : here.seconds);
const place = (here) => {
  const [now, all] = [here.audio.currentTime, length(here)];
  here.wave.setAttribute("aria-valuemax", all.toFixed(1));
  here.wave.setAttribute("aria-valuenow", now.toFixed(1));
  here.wave.setAttribute("aria-valuetext", `${clock(now)} of ${clock(all)}`);
  const share = here.seconds ? Math.min(1, now / here.seconds) : 0;
  here.line.style.left = `${here.wave.offsetLeft + share * here.wave.offsetWidth}px`;
};
const follow = (here) => {
  if (here !== opened || here.audio.paused) return;
  place(here);
  requestAnimationFrame(() => follow(here));
};
const seek = (here, seconds) => {
  here.audio.currentTime = Math.max(0, Math.min(length(here) || 0, seconds));
  place(here);
};
const seeking = (here) => {
  here.wave.addEventListener("click", (event) => {
    const box = here.wave.getBoundingClientRect();
    seek(here, (length(here) * (event.clientX - box.left)) / box.width);
  });
  here.wave.addEventListener("keydown", (event) => {
    const to = { Home: 0, End: length(here) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    seek(here, to);
  });
};
const toggle = () => {
  if (!opened) return;
  if (opened.audio.paused) opened.audio.play().catch(() => {});
  else opened.audio.pause();
};

// --- the keyboard

const step = (by) => {
  const items = [...$("clips").children];
  const from = items.indexOf(document.activeElement.closest?.(".clip") ?? opened?.item ?? null);
  const to = Math.max(0, Math.min(items.length - 1, from < 0 ? 0 : from + by));
  if (from === items.length - 1 && by > 0 && !$("more").hidden) {
    more();
    return step(by);
  }
  items[to]?.firstChild.focus();
  items[to]?.firstChild.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
};
const keys = {
  j: () => step(1),
  k: () => step(-1),
  " ": () => toggle(),
  ArrowLeft: () => opened && seek(opened, opened.audio.currentTime - 5),
  ArrowRight: () => opened && seek(opened, opened.audio.currentTime + 5),
  "/": () => $("search").focus(),
};
document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.altKey || event.metaKey || target.matches("input, select, textarea, audio")) return;
  if (!(event.key in keys)) return;
  if (event.key.startsWith("Arrow") && target.matches(".scroll")) return; // a table that is wider than its place
  if (event.key === " " && (!opened || target.matches("#more, a"))) return; // the browser's own: it presses, or scrolls
  event.preventDefault();
  keys[event.key]();
});

const start = async () => {
  const answer = await fetch("/clips.json");
  data = await answer.json();
  data.clips.forEach((clip, number) => {
    clip.number = number;
    clip.hasSet = new Set(clip.has);
    clip.gotSet = new Set(clip.got);
    clip.wrong = told(clip).filter((tag) => wrong(clip, tag));
  });
  $("experiment").textContent = data.experiment;
  document.title = `earmark listen: ${data.experiment}`;
  data.tags
    .map((tag, number) => [tag, number])
    .sort((a, b) => a[0].localeCompare(b[0], "en"))
    .forEach(([tag, number]) => {
      const option = make("option", "", tag);
      option.value = number;
      $("tag").append(option);
    });
  for (const id of ["tag", "show", "sort"]) $(id).addEventListener("change", choose);
  $("search").addEventListener("input", choose);
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", more);
  choose();
};
start();
