// What all panels share. A panel's script is this file followed by its own (see ftkit/widgets/panel.py): no bundler,
// and nothing from a network. What you read here is what the browser runs.

/** Make an element: element("button", { class: "ft-main", onclick: go }, "Run"). null and false attributes are left out. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for what stands inside an <svg>. */
function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else set(node, name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Set an attribute, or take it away: touches the page only if something changes. */
function set(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** Set the words of an element, if they change. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A polite live region that speaks at most once in `pause` milliseconds; the last words are never lost. */
function announcer(pause = 3000) {
  const region = element("p", { class: "ft-unseen", role: "status", "aria-live": "polite" });
  let next = "";
  let timer = null;
  const speak = () => {
    timer = null;
    if (next && next !== region.textContent) {
      region.textContent = next;
      timer = setTimeout(speak, pause);
    }
  };
  return {
    region,
    tell(text) {
      next = text;
      if (timer === null) speak();
    },
    stop() {
      clearTimeout(timer);
    },
  };
}

/** Hide the static form of this panel that stands beside it, as long as the panel is on the page. */
function hideStatic(el, id) {
  if (id) el.append(element("style", {}, `.ftkit-static-${id} { display: none !important; }`));
}

/** 11 900 000 as "11.9 M", as in ftkit.viz.words. */
function count(number) {
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (number >= 0.9995 * size) return `${(number / size).toFixed(number / size >= 99.95 ? 0 : 1)} ${unit}`;
  }
  return String(number);
}

/** Bytes: "0", "640 B", "1.2 kB", "11.9 MB". */
function bytes(number) {
  const text = count(number);
  return number === 0 ? "0" : number < 999.5 ? `${text} B` : `${text}B`;
}

/** 0.16 as "16 %"; never "0 %" for a little, nor "100 %" for nearly all. */
function percent(share) {
  const value = 100 * share;
  if (value === 0 || value === 100) return `${value} %`;
  if (value < 0.001) return "<0.001 %";
  if (value > 99.9 && value < 100) return ">99.9 %";
  if (value < 0.1) return `${Number(value.toPrecision(1))} %`;
  return `${value.toFixed(value < 9.95 || (value > 99 && value < 100) ? 1 : 0)} %`;
}

/** Three digits of any number: "0.0123", "1.2e-5", "–" for what is not known. */
function short(number) {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size < 0.001 || size >= 100000) return number.toExponential(1).replace("e+", "e");
  return size >= 100 ? number.toFixed(0) : String(Number(number.toPrecision(3)));
}
