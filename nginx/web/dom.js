// Find and create elements.

export const find = (id) => document.getElementById(id);

/** Return a new element from the template `id`. */
export const stamp = (id) => find(id).content.firstElementChild.cloneNode(true);
