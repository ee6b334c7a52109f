// Find and create elements, and change only what differs, so that a selection and the focus survive an update.

export const find = (id) => document.getElementById(id);

/** Return a new element from the template `id`. */
export const stamp = (id) => find(id).content.firstElementChild.cloneNode(true);

/** Return a new element; a property that is a function becomes a listener, and one that elements lack an attribute. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

/** Return the parts of a text, with code for what stands between backticks. */
export const withCode = (text) => text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}
