// The table of layer groups: input at the top, head at the bottom. Built once; each snapshot only changes what differs,
// so that the focus stays where it is while training goes on.

const MEASURES = [
  ["grad_norm", "gradi\u00adent", "L2 norm of the gradients in the last step"],
  ["drift", "drift", "how far the weights have moved from where they began, as a share of their size"],
  ["optimizer_bytes", "optim\u00adizer", "memory that the optimizer keeps for this group"],
  ["activation_bytes", "activ\u00adations", "memory that the backward pass keeps of this group's forward pass"],
];
const SCALES = [1, 0.3, 0.1, 0.03, 0.01];

/** The table. `send(command, arguments)` asks Python; returns { node, show(state), refused() }. */
function layerTable(send) {
  const body = element("tbody", { onkeydown: moveFocus });
  const heads = ["layers", "state", "rate", "param\u00adeters", ...MEASURES.map((m) => m[1]), "back\u00adward pass"];
  const node = element("div", { class: "ft-scroll", role: "group", tabindex: 0, "aria-label": "Layer groups, input first" },
    element("table", { class: "ft-layers" },
      element("caption", { class: "ft-unseen" }, "Layer groups, input first. Switches choose what trains."),
      element("thead", {}, element("tr", {}, heads.map((name) => element("th", { scope: "col" }, name)))),
      body,
      element("tfoot", {}, element("tr", {}, element("td", { colspan: heads.length - 1 }),
        element("td", { class: "ft-flow-foot" }, "↑ loss")))));
  let rows = [];
  const waiting = new Map(); // group -> what was asked for and no snapshot confirms yet
  const heard = new Set(); // of these: groups of which Python has said that it got the message

  function press(row) {
    if (row.button.getAttribute("aria-disabled")) return;
    const now = waiting.get(row.name) ?? row.group.pending ?? row.group.state;
    const wanted = now === "frozen" ? "trains" : "frozen";
    waiting.set(row.name, wanted);
    paint(row);
    send("set_group", { group: row.name, state: wanted });
  }

  function build(groups) {
    rows = groups.map((group) => makeRow(group, press, (value) => send("scale", { group: group.name, value })));
    body.replaceChildren(...rows.flatMap((row) => [row.node, row.warnings]));
    makeReachable(rows[0]);
  }

  function makeReachable(current) {
    for (const row of rows) {
      set(row.button, "tabindex", row === current ? 0 : -1); // one stop for the tab key, arrows inside: as in a menu
      set(row.scale, "tabindex", row === current ? 0 : -1);
    }
  }

  function moveFocus(event) {
    const at = rows.findIndex((row) => row.button === event.target);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // or JupyterLab moves to another cell
    const row = rows[Math.min(rows.length - 1, Math.max(0, to))];
    makeReachable(row);
    row.button.focus();
  }
  body.addEventListener("focusin", (event) => {
    const row = rows.find((r) => r.node.contains(event.target));
    if (row) makeReachable(row);
  });

  function paint(row, state) {
    const group = row.group;
    const pending = waiting.get(row.name) ?? group.pending;
    set(row.button, "data-state", group.state);
    set(row.button, "data-pending", pending);
    set(row.button, "aria-checked", (pending ?? group.state) === "frozen" ? "false" : "true");
    say(row.word, pending ? `→ ${pending}` : group.state);
    if (!state) return;
    set(row.button, "aria-disabled", state.showing !== null ? "true" : null);
    paintScale(row.scale, group, state.showing !== null);
    say(row.parameters, count(group.parameters));
    for (const [key] of MEASURES) {
      const { number, bar } = row.measures[key];
      const most = Math.max(...state.groups.map((g) => g[key] ?? 0));
      say(number, key.endsWith("_bytes") ? bytes(group[key]) : short(group[key]));
      set(bar, "data-state", group.state);
      bar.hidden = !most || !group[key];
      bar.style.width = bar.hidden ? 0 : `${Math.max(2, (100 * group[key]) / most)}%`;
    }
    paintFlow(row, state);
    const text = group.warnings.map((warning) => `Warning! ${warning}.`.replace(/([.!?])\.$/, "$1")).join(" ");
    row.warnings.hidden = !text;
    say(row.warningText, text);
  }

  return {
    node,
    show(state) {
      if (rows.length !== state.groups.length || rows.some((row, i) => row.name !== state.groups[i].name)) build(state.groups);
      rows.forEach((row, i) => {
        const group = state.groups[i];
        if (heard.has(row.name) || group.pending === waiting.get(row.name) || group.state !== row.group.state) {
          waiting.delete(row.name); // Python has taken it up: from here on its own words hold
          heard.delete(row.name);
        }
        row.group = group;
        paint(row, state);
      });
    },
    /** Python got the message: the next snapshot will tell. */
    accepted() {
      for (const name of waiting.keys()) heard.add(name);
    },
    /** Python said no. */
    refused() {
      waiting.clear();
      rows.forEach((row) => paint(row));
    },
  };
}

function makeRow(group, press, rescale) {
  const word = element("span");
  const row = { name: group.name, group, word, measures: {} };
  row.button = element("button", { type: "button", role: "switch", class: "ft-switch", onclick: () => press(row) },
    element("i", { "aria-hidden": "true" }), element("span", { class: "ft-unseen" }, `${group.name}: `), word);
  row.scale = element("select", { class: "ft-scale", "aria-label": `${group.name}: share of the learning rate`,
    onchange: (event) => rescale(Number(event.target.value)) });
  row.parameters = element("td", { class: "ft-number" });
  row.flow = element("td", { class: "ft-flow" });
  const measured = MEASURES.map(([key, , why]) => {
    const number = element("span", { class: "ft-number" });
    const bar = element("span", { class: "ft-bar", "aria-hidden": "true" });
    row.measures[key] = { number, bar };
    return element("td", { class: "ft-measure", title: why }, number, bar);
  });
  row.node = element("tr", { "data-group": group.name }, element("th", { scope: "row", class: "ft-name" }, group.name),
    element("td", {}, row.button), element("td", {}, row.scale), row.parameters, measured, row.flow);
  row.warningText = element("td", { colspan: 8, class: "ft-warning" });
  row.warningFlow = element("td", { class: "ft-flow" });
  row.warnings = element("tr", { class: "ft-warned", hidden: true }, row.warningText, row.warningFlow);
  return row;
}

/** The choice of a learning-rate scale; it knows also a value that came from a strategy. */
function paintScale(select, group, past) {
  const now = group.scale; // of a frozen group: what it would train at
  const values = SCALES.includes(now) ? SCALES : [now, ...SCALES];
  if (select.dataset.values !== String(values)) {
    select.dataset.values = values;
    select.replaceChildren(...values.map((value) => element("option", { value }, `×${short(value)}`)));
  }
  if (document.activeElement !== select) select.value = String(now);
  select.disabled = past;
}

/** Gradients run from the loss upwards: a solid line with a mark where they are stored, a dotted one where they pass. */
function paintFlow(row, state) {
  const kind = row.group.gradient;
  const first = state.groups.find((group) => group.gradient !== "none");
  set(row.flow, "data-flow", kind);
  set(row.flow, "data-first", first === row.group);
  set(row.warningFlow, "data-flow", kind === "none" ? "none" : "passes");
  say(row.flow, kind);
}
