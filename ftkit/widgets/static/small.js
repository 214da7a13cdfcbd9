// The page of the small panels. Python draws their parts ("regions") as HTML; this file shows them, sends what is
// pressed, and moves the focus. It follows common.js and camera.js.
//
// What the HTML may say:   data-cmd, data-args     a button or form that sends a command
//                          data-change             a field that sends a command when its value has changed
//                          data-upload             a file field (files may also be dropped on its label)
//                          data-keys               a grid: keys that send a command with the arguments of a cell
//                          data-interrupt          a button that interrupts the kernel if that does not answer
//                          data-key                the name by which an element is found again after redrawing
//                          data-camera             where the camera goes

const LARGEST = 8_000_000; // bytes of one message; Jupyter's own limit is 10 MB

function render({ model, el }) {
  const state = () => model.get("state");
  const say_ = element("p", { class: "ft-say", role: "status", "aria-live": "polite" });
  const host = element("div");
  const root = element("div", { class: "ftkit ftkit-small", role: "group", "aria-label": state().title },
    element("h3", {}, state().title), host, say_);
  const shown = new Map(); // region name -> [its element, its HTML]
  let sent = state().answered;
  let timer = null;
  let camera = null;

  function send(cmd, args, buffer, urgent = false) {
    sent += 1;
    model.send({ cmd, args }, undefined, buffer ? [buffer] : []);
    clearTimeout(timer);
    timer = setTimeout(() => { if (state().answered < sent) late(urgent); }, urgent ? 1000 : 3000);
  }

  /** Most kernels hear nothing while a cell runs. They can be interrupted, as the notebook's own stop button does. */
  function late(urgent) {
    const kernel = model.widget_manager?.kernel;
    if (urgent && kernel?.interrupt) kernel.interrupt();
    else if (urgent) tell("This notebook cannot pass the button on: press its own stop button (■) instead.", true);
    else tell("The kernel is busy with another cell; the answer comes when that has ended.");
  }

  function tell(text, trouble = false) {
    say(say_, text);
    say_.classList.toggle("ft-warning", trouble);
  }

  function draw() {
    const regions = state().regions;
    for (const [name, [section]] of shown) {
      if (!(name in regions)) {
        section.remove();
        shown.delete(name);
      }
    }
    for (const [name, html] of Object.entries(regions)) {
      const known = shown.get(name);
      if (known && known[1] === html) continue;
      const section = known ? known[0] : host.appendChild(element("section", { "data-region": name, tabindex: "-1" }));
      keepingFocus(section, () => { section.innerHTML = html; });
      shown.set(name, [section, html]);
      const place = section.querySelector("[data-camera]");
      if (place) camera = openCamera(place, (blob) => upload(place.dataset.camera, blob), tell);
    }
  }

  async function upload(cmd, file) {
    const small = file.size > LARGEST && file.type.startsWith("image/") ? await shrunk(file) : file;
    if (small.size > LARGEST) {
      tell(`${file.name} has ${bytes(file.size)}; a panel takes files of up to ${bytes(LARGEST)}.`, true);
      return;
    }
    send(cmd, { name: file.name }, await small.arrayBuffer());
  }

  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-cmd]");
    if (button) send(button.dataset.cmd, JSON.parse(button.dataset.args), null, "interrupt" in button.dataset);
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...event.target.elements].filter((field) => field.name);
    send(event.target.dataset.cmd, Object.fromEntries(fields.map((field) => [field.name, value(field)])));
  });
  root.addEventListener("change", (event) => {
    const field = event.target;
    if (field.dataset.upload) {
      [...field.files].forEach((file) => upload(field.dataset.upload, file));
      field.value = ""; // so that the same file can be chosen again
    } else if (field.dataset.change && field.checkValidity()) {
      send(field.dataset.change, { [field.name]: value(field) });
    }
  });
  root.addEventListener("dragover", (event) => {
    if (event.target.closest("label.ft-drop")) event.preventDefault();
  });
  root.addEventListener("drop", (event) => {
    const label = event.target.closest("label.ft-drop");
    if (!label) return;
    event.preventDefault();
    const field = label.querySelector("[data-upload]");
    [...event.dataTransfer.files].forEach((file) => upload(field.dataset.upload, file));
  });
  root.addEventListener("keydown", (event) => {
    const grid = event.target.closest("[role=grid]");
    if (grid && event.target.dataset.args) gridKey(grid, event, send);
    // JupyterLab has shortcuts of its own: what is typed in a panel is meant for the panel.
    if (event.target.matches("input, textarea, select, [role=grid] *")) event.stopPropagation();
  });

  function update() {
    if (state().answered >= sent) clearTimeout(timer);
    draw();
    tell(state().say, state().trouble);
  }

  model.on("change:state", update);
  update();
  hideStatic(root, model.get("static_id"));
  el.append(root);
  return () => {
    model.off("change:state", update);
    clearTimeout(timer);
    if (camera) camera.close();
  };
}

function value(field) {
  if (field.dataset.type === "int") return Number.parseInt(field.value, 10);
  return field.dataset.type === "float" ? Number.parseFloat(field.value) : field.value;
}

/** Redraw a region; the focus goes to the element of the same name, or to the region if that is gone. */
function keepingFocus(section, redraw) {
  const active = section.getRootNode().activeElement;
  const inside = section.contains(active) && active !== section;
  const key = inside ? active.dataset.key : null;
  redraw();
  if (!inside) return;
  const again = [...section.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  (again ?? section).focus({ preventScroll: true });
}

/** Arrow keys, Home and End move in a grid, where Tab stops only once; other keys may send a command. */
function gridKey(grid, event, send) {
  const keys = JSON.parse(grid.dataset.keys ?? "{}");
  if (event.key in keys) {
    const [cmd, more] = keys[event.key];
    event.preventDefault();
    send(cmd, { ...JSON.parse(event.target.dataset.args), ...more });
    return;
  }
  const rows = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("[data-args]")]);
  const y = rows.findIndex((row) => row.includes(event.target));
  const x = rows[y].indexOf(event.target);
  const to = { ArrowUp: [y - 1, x], ArrowDown: [y + 1, x], ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1],
               Home: [y, 0], End: [y, rows[y].length - 1] }[event.key];
  const cell = to && rows[to[0]]?.[to[1]];
  if (!to) return;
  event.preventDefault();
  if (!cell) return;
  grid.querySelectorAll("[data-args]").forEach((other) => set(other, "tabindex", other === cell ? "0" : "-1"));
  cell.focus();
}

/** A photo too large for one message, as a JPEG of at most 2000 pixels. */
async function shrunk(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height));
    return await jpeg(bitmap, bitmap.width * scale, bitmap.height * scale, file.name);
  } catch {
    return file; // not a picture that this browser can read: Python says so
  }
}

/** Draw something and make a JPEG file of it. */
async function jpeg(source, width, height, name) {
  const canvas = element("canvas", { width: Math.round(width), height: Math.round(height) });
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return new File([blob], name, { type: "image/jpeg" });
}

export default { render };
