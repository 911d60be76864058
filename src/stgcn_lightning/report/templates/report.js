"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Lists of bars: a button sorts them by label, by accuracy (lowest first) or by samples (most first).
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const key = button.dataset.sort;
    const sign = key === "order" || key === "accuracy" ? 1 : -1;
    const list = document.getElementById("classes").querySelector("ol");
    const value = (item) => sign * Number(item.dataset[key]);
    list.append(...[...list.children].sort((a, b) => value(a) - value(b)));
    for (const other of document.querySelectorAll("[data-sort]"))
      other.setAttribute("aria-pressed", other === button);
  });
}

// The confusion matrix: the cell under the pointer says what it counts.
const matrix = document.getElementById("matrix");
if (matrix) {
  const { names } = data;
  const counts = names.map(() => new Map());
  for (const [row, column, count] of data.counts) counts[row].set(column, count);
  const samples = counts.map((row) => [...row.values()].reduce((a, b) => a + b, 0));
  const margin = Number(matrix.dataset.margin), cell = Number(matrix.dataset.cell);
  const cursor = matrix.querySelector(".cursor"), tip = document.getElementById("tip");
  const leave = () => { tip.hidden = true; cursor.setAttribute("width", 0); };
  const point = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(matrix.getScreenCTM().inverse());
    const column = Math.floor((place.x - margin) / cell), row = Math.floor(place.y / cell);
    if (!(names[column] !== undefined && names[row] !== undefined)) return leave();
    const count = counts[row].get(column) || 0;
    const share = samples[row] ? `, ${(100 * count / samples[row]).toFixed(1)} %` : "";
    tip.textContent =
      `${names[row]} → ${names[column]}: ${count} of ${samples[row]} samples${share}`;
    for (const [key, value] of [["x", margin + column * cell], ["y", row * cell],
                                ["width", cell], ["height", cell]]) cursor.setAttribute(key, value);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    const above = event.clientY - box.height - 12;
    tip.style.top = `${above > 8 ? above : event.clientY + 18}px`;
  };
  matrix.addEventListener("pointermove", point);
  matrix.addEventListener("pointerdown", point);
  matrix.addEventListener("pointerleave", leave);
}

// Learned weights: one stage at a time.
const stage = document.getElementById("stage");
if (stage) stage.addEventListener("change", () => {
  document.querySelectorAll(".body .stage").forEach((group, i) => {
    group.toggleAttribute("hidden", i !== Number(stage.value));
  });
});

// Moving skeletons. A joint that was not seen is stored as UNSEEN.
const UNSEEN = -32768, FRAMES_PER_SECOND = 30, TILT = 0.17;

class Movie {
  constructor(figure, movie) {
    [this.persons, this.frames, this.joints, this.axes] = movie.shape;
    const bytes = Uint8Array.from(atob(movie.points), (letter) => letter.charCodeAt(0));
    this.points = new Int16Array(bytes.buffer);
    this.speed = FRAMES_PER_SECOND / movie.every;
    this.canvas = figure.querySelector("canvas");
    this.button = figure.querySelector("button");
    this.time = 0; this.turn = 0; this.swing = 0; this.visible = false; this.playing = true;
    this.button.addEventListener("click", () => this.play(!this.playing));
    this.reach = this.farthest();
    if (this.axes === 3) this.turnable();
  }
  at(person, frame, joint) {
    const i = ((person * this.frames + frame) * this.joints + joint) * this.axes;
    return this.points[i] === UNSEEN ? null : this.points.subarray(i, i + this.axes);
  }
  // How far points lie from the middle, across and up, whatever the turn; a few may lie farther.
  farthest() {
    const reaches = [];
    for (let i = 0; i < this.points.length; i += this.axes) {
      if (this.points[i] === UNSEEN) continue;
      const [x, y, z] = this.points.subarray(i, i + this.axes);
      const across = this.axes === 3 ? Math.hypot(x, y) : Math.abs(x);
      const up = this.axes === 3
        ? Math.abs(z) * Math.cos(TILT) + across * Math.sin(TILT) : Math.abs(y);
      reaches.push(Math.max(across, up));
    }
    reaches.sort((a, b) => a - b);
    return Math.max(1, reaches[Math.floor(0.99 * reaches.length)] || 0);
  }
  // To the right and down, in the units of the points. In 2D, y points down already; in 3D, z points
  // up and bodies face +y, so they are seen from there.
  project(point) {
    if (this.axes === 2) return [point[0], point[1]];
    const angle = this.turn + this.swing, [x, y, z] = point;
    const across = -x * Math.cos(angle) + y * Math.sin(angle);
    const depth = x * Math.sin(angle) + y * Math.cos(angle);
    return [across, -z * Math.cos(TILT) + depth * Math.sin(TILT)];
  }
  turnable() {
    this.canvas.classList.add("solid");
    this.canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      this.turn += event.movementX / 90;
      this.draw();
    });
  }
  play(playing) {
    this.playing = playing;
    this.button.textContent = playing ? "❚❚" : "►";
    this.button.setAttribute("aria-label", playing ? "pause" : "play");
    const any = movies.some((movie) => movie.playing);
    document.getElementById("all").textContent = any ? "Pause all" : "Play all";
    if (playing) start();
  }
  step(seconds, now) {
    this.time = (this.time + seconds * this.speed) % this.frames;
    if (this.axes === 3) this.swing = 0.45 * Math.sin(now / 2500);
    this.draw();
  }
  draw() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, side, side);
    pen.lineCap = "round";
    const scale = 0.44 * side / this.reach, now = Math.floor(this.time);
    const colours = [colour("cool"), colour("warm")];
    for (const [back, alpha] of [[12, 0.1], [6, 0.2], [0, 1]]) {  // shades of earlier frames first
      const frame = now - Math.round(back * this.speed / FRAMES_PER_SECOND);
      if (frame < 0) continue;
      pen.globalAlpha = alpha;
      for (let person = 0; person < this.persons; person++) {
        const place = [...Array(this.joints).keys()].map((joint) => {
          const point = this.at(person, frame, joint);
          return point && this.project(point).map((value) => side / 2 + value * scale);
        });
        pen.strokeStyle = pen.fillStyle = colours[person % 2];
        pen.lineWidth = side / 85;
        for (const [a, b] of data.edges) {
          if (!place[a] || !place[b]) continue;
          pen.beginPath(); pen.moveTo(...place[a]); pen.lineTo(...place[b]); pen.stroke();
        }
        if (back) continue;
        for (const joint of place) {
          if (!joint) continue;
          pen.beginPath(); pen.arc(...joint, side / 95, 0, 7); pen.fill();
        }
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = colour("soft");
    pen.fillRect(0, side - side / 150, side * (now + 1) / this.frames, side / 150);
  }
}

const figures = [...document.querySelectorAll(".movies figure")];
const movies = figures.map((figure, i) => new Movie(figure, data.movies[i]));
let last = null;
function start() { if (last === null) { last = performance.now(); requestAnimationFrame(tick); } }
function tick(now) {
  const seconds = Math.max(0, Math.min(0.1, (now - last) / 1000));
  const playing = movies.filter((movie) => movie.playing);
  for (const movie of playing) if (movie.visible) movie.step(seconds, now);
  last = playing.length ? now : null;
  if (playing.length) requestAnimationFrame(tick);
}
if (movies.length) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) movies[figures.indexOf(entry.target)].visible = entry.isIntersecting;
  });
  figures.forEach((figure) => seen.observe(figure));
  const all = document.getElementById("all");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const movie of movies) {
    movie.time = still ? movie.frames / 2 : 0;
    movie.play(!still);
    movie.draw();
  }
  all?.addEventListener("click", () => {
    const playing = movies.some((movie) => movie.playing);
    for (const movie of movies) movie.play(!playing);
  });
  const redraw = () => movies.forEach((movie) => movie.draw());
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
