// Everything one presses around the table: run and pause, presets, predictions, checkpoints, looking back, code, export.
// Each part is a function that returns { node, show(state) }. Buttons that may not be pressed now stay in reach of the
// keyboard (aria-disabled): a focus that vanishes in the middle of a run would be worse.

function button(text, press, attributes = {}) {
  const node = element("button", { type: "button", ...attributes,
    onclick: () => { if (!node.getAttribute("aria-disabled")) press(node); } }, text);
  return node;
}

function allow(node, allowed) {
  set(node, "aria-disabled", allowed ? null : "true");
}

function labelled(text, control) {
  return element("label", { class: "ft-label" }, element("span", {}, text), control);
}

function choice(options, attributes = {}) {
  return element("select", attributes, options.map(([value, text]) => element("option", { value }, text)));
}

/** Change the options of a list only if they differ: an open list must not close under the hand. */
function setOptions(select, options) {
  const kept = select.value;
  if (select.dataset.options === JSON.stringify(options)) return;
  select.dataset.options = JSON.stringify(options);
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (options.some(([value]) => value === kept)) select.value = kept;
}

function runControls(send) {
  const far = choice([["", "to the end"], ["epoch", "for one epoch"]], { "aria-label": "How far Run goes" });
  let state = null;
  const run = button("Run", () => send("run", far.value ? { steps: state.steps_per_epoch } : {}), { class: "ft-main" });
  const pause = button("Pause", () => send("pause"));
  const step = button("Step", () => send("step"));
  const stop = button("Stop", () => send("stop"));
  const node = element("div", { class: "ft-bar-of-buttons", role: "group", "aria-label": "Training" }, run, far, step, pause, stop);
  return {
    node,
    show(now) {
      state = now;
      const running = state.status === "running", ending = state.status === "stopping";
      const idle = !running && !ending && state.status !== "finished" && state.showing === null;
      allow(run, idle);
      allow(step, idle);
      allow(pause, running);
      allow(stop, running || state.status === "paused");
    },
  };
}

function presetControls(send) {
  const buttons = element("span", { class: "ft-inner" });
  const blocks = element("input", { type: "number", min: 1, value: 2, "aria-label": "k, the number of last blocks" });
  const node = element("div", { class: "ft-bar-of-buttons", role: "group", "aria-label": "Presets: which groups train" },
    element("span", { class: "ft-quiet" }, "Train:"), buttons);
  let known = "";
  return {
    node,
    show(state) {
      const names = JSON.stringify(state.presets);
      if (names !== known) {
        known = names;
        buttons.replaceChildren(...state.presets.flatMap(({ name, label }) => {
          const press = () => send("preset", name === "last_k" ? { name, k: Number(blocks.value) } : { name });
          const made = button(label, press, { "data-preset": name });
          return name === "last_k" ? [element("span", { class: "ft-pair" }, made, blocks)] : [made];
        }));
      }
      for (const made of buttons.querySelectorAll("button")) allow(made, state.showing === null);
    },
  };
}

const QUESTIONS = [["accuracy", "the accuracy after the run"], ["cost", "the cost of a step"], ["trainable", "the share that trains"]];

/** First predict, then see: the answer appears only after a guess. */
function predictForm(send) {
  const kind = choice(QUESTIONS, { "aria-label": "What to predict" });
  const ask = button("Ask me", () => send("ask", { question: kind.value }));
  const text = element("p", { class: "ft-question" });
  const guess = element("input", { type: "number", step: "any", required: true, "aria-label": "My guess" });
  const unit = element("span");
  const form = element("form", { class: "ft-bar-of-buttons", onsubmit: (event) => {
    event.preventDefault();
    send("guess", { value: Number(guess.value) });
  } }, guess, unit, element("button", { type: "submit" }, "That is my guess"));
  const result = element("p", { class: "ft-result" });
  const node = element("div", { class: "ft-box ft-predict ft-bar-of-buttons" }, element("h4", {}, "Predict, then see"),
    element("span", { class: "ft-pair" }, kind, ask), text, form, result);
  return {
    node,
    show({ question }) {
      say(text, question ? question.text : "");
      form.hidden = !question || question.guess !== null;
      result.hidden = !question || question.guess === null;
      if (!question) return;
      const unitText = question.unit ? ` ${question.unit}` : "";
      say(unit, question.unit);
      const known = question.answer !== null;
      set(result, "class", known ? "ft-result ft-good" : "ft-result");
      say(result, question.guess === null ? "" : known
        ? `You guessed ${short(question.guess)}${unitText}. Measured: ${short(question.answer)}${unitText}. ${question.score} points of 100.`
        : `You guessed ${short(question.guess)}${unitText}. The answer comes when it is measured.`);
    },
  };
}

function branchForm(send) {
  const label = element("input", { type: "text", size: 14, placeholder: "a name", "aria-label": "Name of the checkpoint" });
  const keep = button("Keep this state", () => { send("checkpoint", label.value ? { label: label.value } : {}); label.value = ""; });
  const from = choice([], { "aria-label": "Checkpoint to go on from" });
  const how = choice([], { "aria-label": "Plan of the branch" });
  const go = button("Branch", () => send("branch", { checkpoint_id: from.value, ...(how.value ? { preset_or_plan: how.value } : {}) }));
  const second = element("div", { class: "ft-bar-of-buttons" }, element("span", {}, "Go on from"), from, element("span", {}, "with"), how, go);
  const node = element("div", { class: "ft-box ft-branches" }, element("h4", {}, "Try it another way"),
    element("div", { class: "ft-bar-of-buttons" }, label, keep), second);
  return {
    node,
    show(state) {
      second.hidden = !state.checkpoints.length;
      setOptions(from, state.checkpoints.map(({ id, step, label: name }) => [id, `${name || "checkpoint"} (step ${step})`]));
      setOptions(how, [["", "the same plan"], ...state.presets.map(({ name, label: text }) => [name, text])]);
      allow(keep, state.showing === null);
      allow(go, state.showing === null && state.status !== "running" && state.status !== "stopping");
    },
  };
}

/** A slider over the recorded steps. */
function scrubber(send) {
  let steps = [], touched = 0, timer = null;
  const slider = element("input", { type: "range", min: 0, "aria-label": "Look back at a step", oninput: () => {
    touched = Date.now();
    clearTimeout(timer);
    timer = setTimeout(() => send("scrub", { step: steps[Number(slider.value)] }), 60);
    name(steps[Number(slider.value)]);
  } });
  const where = element("output", { class: "ft-number" });
  const back = button("Back to now", () => { clearTimeout(timer); touched = 0; send("scrub", { step: null }); });
  const node = element("div", { class: "ft-scrub", role: "group", "aria-label": "Looking back" },
    labelled("Look back", slider), where, back);
  const name = (step) => { say(where, `step ${step}`); set(slider, "aria-valuetext", `step ${step}`); };
  return {
    node,
    show(state) {
      steps = state.recorded;
      node.hidden = steps.length < 2;
      set(slider, "max", Math.max(0, steps.length - 1));
      allow(back, state.showing !== null);
      if (Date.now() - touched < 800) return; // the hand is on it
      const at = state.showing === null ? steps.length - 1 : steps.indexOf(state.showing);
      slider.value = at;
      name(state.showing ?? state.step);
    },
  };
}

/** The same run as plain PyTorch and as ftkit, to copy. */
function codePanel(send) {
  const texts = { ftkit: "", torch: "" };
  const text = element("pre", { tabindex: 0, "aria-label": "Code" }, element("code", {}, "…"));
  const which = choice([["ftkit", "with ftkit"], ["torch", "plain PyTorch"]], { "aria-label": "Which code", onchange: paint });
  const copied = element("span", { role: "status" });
  const copy = button("Copy", async () => say(copied, (await copyText(texts[which.value], text)) ? "Copied." : "Press Ctrl+C."));
  const node = element("details", { class: "ft-code", ontoggle: () => { if (node.open) send("code"); } },
    element("summary", {}, "Show this run as code"),
    element("div", { class: "ft-bar-of-buttons" }, which, copy, copied), text);
  let shown = "";
  function paint() {
    say(text.firstChild, texts[which.value] || "…");
    say(copied, "");
  }
  return {
    node,
    receive(code) {
      Object.assign(texts, code);
      paint();
    },
    show(state) {
      const plan = JSON.stringify([state.status, state.groups.map((g) => [g.state, g.scale]), state.curves[0]?.id]);
      if (node.open && plan !== shown) send("code");
      shown = plan;
    },
  };
}

async function copyText(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no permission, or not a secure page: select it, so that a key is enough
    getSelection().selectAllChildren(node);
    return false;
  }
}

/** Hand a text to the browser as a file. */
function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
