// Curves as SVG: loss and accuracy over steps, branches over each other, marks where a plan changed.

const MARKERS = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", // circle
  "M-4 -4H4V4H-4Z", // square
  "M0 -5L5 0L0 5L-5 0Z", // diamond
  "M0 -5L5 4H-5Z", // triangle
  "M0 5L5 -4H-5Z", // triangle, down
];
const DASHES = ["", "7 4", "9 3 2 3", "2 3"];
const LEGIBLE = 62; // pixels between two numbers on the axis of steps

/** Both charts; returns { node, show(state), stop() }. They are drawn as wide as there is room, in real pixels. */
function curves() {
  const key = element("ul", { class: "ft-key", "aria-label": "Curves" });
  const charts = element("div", { class: "ft-charts" });
  const events = element("ol", { class: "ft-events", "aria-label": "Where the plan changed" });
  const numbers = element("div", { class: "ft-scroll", tabindex: 0, role: "group", "aria-label": "Validation in numbers" });
  const details = element("details", {}, element("summary", {}, "The curves in numbers"), numbers);
  const node = element("div", { class: "ft-curves" }, key, charts, events, details);
  let last = null;
  const draw = () => {
    if (!last || !charts.clientWidth) return;
    const wide = charts.clientWidth >= 620;
    const width = wide ? (charts.clientWidth - 16) / 2 : charts.clientWidth;
    charts.replaceChildren(lossChart(last, width), accuracyChart(last, width));
  };
  const watch = new ResizeObserver(draw);
  watch.observe(charts);
  return {
    node,
    show(state) {
      last = state;
      key.replaceChildren(...state.curves.map((curve, i) => element("li", {}, sample(i), curve.name)));
      const told = numberedEvents(state).map(({ event, curve }, i) =>
        element("li", {}, `${i + 1}: ${event.text} at step ${event.step}${state.curves.length > 1 ? ` (${curve.name})` : ""}`));
      events.replaceChildren(...told);
      numbers.replaceChildren(numberTable(state));
      draw();
    },
    stop: () => watch.disconnect(),
  };
}

function sample(i) {
  return shape("svg", { class: `ft-run-${i % 6}`, width: 44, height: 14, viewBox: "-22 -7 44 14", "aria-hidden": "true" },
    shape("path", { d: "M-22 0H22", class: "ft-line", "stroke-dasharray": DASHES[i % 4] }),
    shape("path", { d: MARKERS[i % 5], class: "ft-marker" }));
}

/** Events of all curves in order of steps: their place is their number. */
function numberedEvents(state) {
  return state.curves.flatMap((curve) => curve.events.map((event) => ({ event, curve })))
    .sort((a, b) => a.event.step - b.event.step);
}

function lossChart(state, width) {
  const values = state.curves.flatMap((c) => [...c.train.map((p) => p[1]), ...c.valid.map((p) => p[1])]);
  const chart = frame(state, width, "Loss: training (pale), validation (marks)", [0, Math.max(0.1, ...values) * 1.05], !values.length);
  eachCurve(state, (curve, i) => {
    chart.line(curve.train, i, "ft-pale");
    chart.line(curve.valid.map(([step, loss]) => [step, loss]), i, "ft-line", true);
  });
  return chart.finish(values.length ? "" : "no step yet");
}

function accuracyChart(state, width) {
  const values = state.curves.flatMap((c) => c.valid.map((p) => p[2])).filter((v) => v !== null);
  const middle = values.length ? (Math.min(...values) + Math.max(...values)) / 2 : 0.5;
  // At least 0.2 high: a wobble of a point must not look like a leap.
  const half = Math.max(0.1, 0.6 * (Math.max(...values, 0) - Math.min(...values, 1)));
  const low = Math.min(Math.max(0, middle - half), 0.8);
  const high = Math.min(1.02, Math.max(middle + half, low + 0.2));
  const chart = frame(state, width, "Validation accuracy", [low, high], !values.length);
  eachCurve(state, (curve, i) => {
    chart.line(curve.valid.filter((p) => p[2] !== null).map(([step, , accuracy]) => [step, accuracy]), i, "ft-line", true);
  });
  return chart.finish(values.length ? "" : "comes after the first epoch");
}

/** The current curve is the first: drawn last, it lies on top. */
function eachCurve(state, draw) {
  for (let i = state.curves.length - 1; i >= 0; i--) draw(state.curves[i], i);
}

function frame(state, width, title, [low, high], empty) {
  const height = 230, left = 44, right = 20, top = 30, bottom = 42;
  const steps = state.curves.flatMap((c) => [...c.train, ...c.valid].map((p) => p[0]));
  const last = Math.max(1, ...steps);
  const x = (step) => left + (step / last) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const parts = [shape("text", { x: 2, y: 14, class: "ft-chart-title" }, title)];
  for (const value of empty ? [] : ticks(low, high, 4)) {
    parts.push(shape("path", { d: `M${left} ${y(value)}H${width - right}`, class: "ft-grid" }),
      shape("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const step of empty ? [] : ticks(0, last, Math.max(2, Math.floor((width - left) / LEGIBLE))).filter(Number.isInteger)) {
    parts.push(shape("text", { x: x(step), y: height - bottom + 18, "text-anchor": "middle" }, String(step)));
  }
  parts.push(shape("path", { d: `M${left} ${top}V${height - bottom}H${width - right}`, class: "ft-axis" }),
    shape("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, "step"));
  const room = numberedEvents(state).length > 9 ? 50 : 30; // pixels that "10–12" or "1–2" takes
  for (const [step, label] of eventMarks(state, (last * room) / (width - left - right))) {
    const end = x(step) > width - 40; // the number stands on the side where there is room
    parts.push(shape("path", { d: `M${x(step)} ${top}V${height - bottom}`, class: "ft-event" }),
      shape("text", { x: x(step) + (end ? -3 : 3), y: top + 10, "text-anchor": end ? "end" : "start", class: "ft-event-number" }, label));
  }
  if (state.showing !== null) parts.push(shape("path", { d: `M${x(state.showing)} ${top}V${height - bottom}`, class: "ft-now" }));
  return {
    line(points, i, kind, marked = false) {
      if (!points.length) return;
      const d = points.map(([step, value], n) => `${n ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
      const group = shape("g", { class: `ft-run-${i % 6}${i ? "" : " ft-current"}` },
        shape("path", { d, class: kind, "stroke-dasharray": DASHES[i % 4] }));
      if (marked) {
        for (const [step, value] of points) {
          group.append(shape("path", { d: MARKERS[i % 5], class: "ft-marker", transform: `translate(${x(step)} ${y(value)})` }));
        }
      }
      parts.push(group);
    },
    finish(note) {
      if (note) parts.push(shape("text", { x: (left + width) / 2, y: height / 2, "text-anchor": "middle" }, note));
      return shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${chartWords(state)}` }, parts);
    },
  };
}

/** Events nearer than `near` steps to the one before share a mark: "2–4". */
function eventMarks(state, near) {
  const found = [];
  numberedEvents(state).forEach(({ event }, i) => {
    const before = found.at(-1);
    if (before && event.step - before.step <= near) before.to = i + 1;
    else found.push({ step: event.step, from: i + 1, to: i + 1 });
  });
  return found.map(({ step, from, to }) => [step, from === to ? String(from) : `${from}–${to}`]);
}

/** About `most` round numbers between two values. */
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * size).find((s) => s >= rough);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function chartWords(state) {
  return state.curves.map((curve) => {
    const train = curve.train.at(-1), valid = curve.valid.at(-1);
    const known = valid ? `; validation loss ${short(valid[1])}, accuracy ${short(valid[2])} at step ${valid[0]}` : "";
    return train ? `${curve.name}: training loss ${short(train[1])} at step ${train[0]}${known}.` : `${curve.name}: no step yet.`;
  }).join(" ");
}

function numberTable(state) {
  const heads = ["curve", "step", "validation loss", "accuracy"].map((name) => element("th", { scope: "col" }, name));
  const rows = state.curves.flatMap((curve) => curve.valid.map(([step, loss, accuracy]) =>
    element("tr", {}, element("th", { scope: "row" }, curve.name), element("td", {}, String(step)),
      element("td", {}, short(loss)), element("td", {}, short(accuracy)))));
  return element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows));
}
