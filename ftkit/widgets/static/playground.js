// The playground: puts the parts together, shows each snapshot that Python sends, and asks Python for what was pressed.
// The same code plays a recording without Python: see replay() at the end.

const WAIT_FOR_PYTHON = 4000; // milliseconds

/** Build the panel. `ask(command, arguments)` reaches Python, or the recording. */
function playground(ask) {
  const title = element("h3");
  const progress = element("div", { class: "ft-progress", "aria-hidden": "true" }, element("i"));
  const facts = element("dl", { class: "ft-facts" });
  const message = element("p", { class: "ft-message", role: "alert", hidden: true });
  const voice = announcer(4000);
  let unanswered = null; // a timer
  let lost = false; // whether the message is about Python's silence
  let told = ""; // Python's own message

  function send(command, args = {}) {
    clearTimeout(unanswered);
    unanswered = setTimeout(() => miss("No answer from Python yet: it is busy with another cell, or was restarted. After a " +
      "restart, run this cell again."), WAIT_FOR_PYTHON);
    try {
      ask(command, args);
    } catch {
      miss("This panel has lost its Python. Run the cell again.");
    }
  }
  function miss(text) {
    lost = true;
    tell(text);
  }
  function tell(text) {
    message.hidden = !text;
    say(message, text);
  }
  function answered() {
    clearTimeout(unanswered);
    if (lost) tell(told);
    lost = false;
  }

  const layers = layerTable(send);
  const controls = { run: runControls(send), presets: presetControls(send) };
  const side = { predict: predictForm(send), branches: branchForm(send) };
  const charts = curves();
  const scrub = scrubber(send);
  const code = codePanel(send);
  const exports = element("div", { class: "ft-bar-of-buttons ft-export", role: "group", "aria-label": "Export" },
    button("Save the run (JSON)", () => send("export")), button("Save as a page that replays it", () => send("export_page")));
  const node = element("div", { class: "ftkit ft-playground", role: "group", "aria-label": "Freezing playground",
    "data-lm-suppress-shortcuts": "true" }, // JupyterLab's own keys (arrows, letters) do not apply in here
    title, progress, facts, message, voice.region,
    element("div", { class: "ft-live" }, controls.run.node, controls.presets.node, side.predict.node),
    element("div", { class: "ft-columns" },
      element("div", {}, layers.node, legend()),
      element("div", {}, charts.node, scrub.node, element("div", { class: "ft-live" }, side.branches.node))),
    code.node, exports);

  return {
    node,
    show(state) {
      answered();
      say(title, titleWords(state));
      progress.firstChild.style.width = `${(100 * (state.showing ?? state.step)) / Math.max(1, state.total_steps)}%`;
      paintFacts(facts, state);
      if (state.message !== told) tell((told = state.message));
      for (const part of [layers, controls.run, controls.presets, side.predict, side.branches, charts, scrub, code]) part.show(state);
      voice.tell(spoken(state));
      set(node, "data-status", state.status);
      set(node, "data-step", state.step);
    },
    receive(answer) {
      answered();
      tell(answer.error || told);
      if (answer.error) layers.refused();
      if (answer.reply === "set_group") layers.accepted();
      if (answer.reply === "code") code.receive(answer.value);
      if (answer.reply?.startsWith("export")) download(answer.value.name, answer.value.text, answer.value.type);
    },
    stop() {
      clearTimeout(unanswered);
      voice.stop();
      charts.stop();
    },
  };
}

function titleWords(state) {
  const at = state.showing ?? state.step;
  const epoch = Math.min(state.epochs, Math.floor(at / Math.max(1, state.steps_per_epoch)) + 1);
  return `${state.model.name}: ${state.showing === null ? state.status : "looking back"}, step ${at} of ${state.total_steps}, ` +
    `epoch ${epoch} of ${state.epochs}`;
}

/** The header: name, the number to look at, what it is of, and how far a bar goes (null: no bar). */
function factRows({ header, model, loss, seconds_left: left, question }) {
  const secret = question?.kind === "cost" && question.guess === null;
  const cached = header.cached_groups;
  const saved = cached ? `; ${cached} frozen group${cached > 1 ? "s" : ""} from the cache` : "";
  return [
    header.share === null ? ["Trains", "?", "guess first", null]
      : ["Trains", percent(header.share), `${count(header.trainable)} of ${count(model.parameters)} parameters${saved}`, header.share],
    secret ? ["A step costs", "?", "guess first", null]
      : header.cost === null ? ["A step costs", header.step_ms === null ? "–" : `${short(header.step_ms)} ms`, "not compared yet", null]
      : ["A step costs", percent(header.cost), `of full fine-tuning; ${short(header.step_ms)} ms`, header.cost],
    ["Memory", `${header.memory_mb.toFixed(0)} MB`, `of ${header.memory_limit_mb.toFixed(0)} MB`, header.memory_mb / header.memory_limit_mb],
    ["Training loss", loss === null ? "–" : loss.toFixed(3),
      left ? `${left < 90 ? `${left.toFixed(0)} s` : `${(left / 60).toFixed(0)} min`} left` : "", null],
  ];
}

function paintFacts(list, state) {
  const rows = factRows(state);
  if (list.children.length !== rows.length) {
    list.replaceChildren(...rows.map(([name]) => element("div", {}, element("dt", {}, name), element("dd", {},
      element("strong"), element("span", { class: "ft-meter", "aria-hidden": "true" }, element("i")), element("small")))));
  }
  rows.forEach(([, number, words, share], i) => {
    const [strong, meter, small] = list.children[i].lastChild.children;
    say(strong, number);
    say(small, words);
    meter.hidden = share === null;
    meter.firstChild.style.width = `${100 * Math.min(1, share ?? 0)}%`;
  });
}

/** What the signs mean, folded away. */
function legend() {
  return element("details", { class: "ft-legend" }, element("summary", {}, "What the columns mean"),
    element("dl", {},
      element("dt", {}, "rate"), element("dd", {}, "share of the learning rate that this group gets"),
      MEASURES.flatMap(([, name, why]) => [element("dt", {}, name), element("dd", {}, why)]),
      element("dt", {}, "backward pass"), element("dd", {}, "it starts at the loss, below the head, and runs up. Where gradients are " +
        "stored, weights learn; where they only pass, they are computed all the same, for the layers above; the rest is free.")),
    element("p", {}, "Keys: ↑ ↓ Home End move between the switches, Space switches."));
}

function spoken(state) {
  const valid = state.curves[0]?.valid.at(-1);
  const known = valid && valid[2] !== null ? `, validation accuracy ${short(valid[2])}` : "";
  return `${titleWords(state)}${state.loss === null ? "" : `, loss ${state.loss.toFixed(2)}`}${known}.`;
}

/** Play an exported run, without Python: in a page that `Playground.export("run.html")` wrote. */
function replay(el, run) {
  const panel = playground((command, args) => {
    if (command === "code") panel.receive({ reply: "code", value: run.code });
    else if (command === "scrub") panel.show(replayed(run, args.step));
  });
  panel.node.classList.add("ft-replay");
  el.append(panel.node);
  panel.show(run.final);
}

/** The snapshot that Python would send for this step; null is the end of the run. */
function replayed(run, step) {
  const state = run.states.find((recorded) => recorded.step === step);
  return state ? { ...run.final, ...state, step: run.final.step, showing: step } : run.final;
}

/** What Jupyter calls for each place where the panel is shown. */
function render({ model, el }) {
  const panel = playground((cmd, args) => model.send({ cmd, args }));
  const show = () => panel.show(model.get("state"));
  const receive = (content) => panel.receive(content);
  el.append(panel.node);
  hideStatic(el, model.get("static_id"));
  show();
  model.on("change:state", show);
  model.on("msg:custom", receive);
  return () => {
    model.off("change:state", show);
    model.off("msg:custom", receive);
    panel.stop();
  };
}

export default { render };
