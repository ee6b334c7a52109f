// Finding and making elements.

export const find = (id) => document.getElementById(id);

/** A new element from the template called `id`. */
export const stamp = (id) => find(id).content.firstElementChild.cloneNode(true);
