// The texts of the page in both languages. Each part of the page has a module in texts/.

import { page } from "./language.js";
import { TEXTS as ERRORS } from "./texts/errors.js";
import { TEXTS as PAGE } from "./texts/page.js";
import { TEXTS as RESULTS } from "./texts/results.js";
import { TEXTS as SENDING } from "./texts/sending.js";

const PARTS = [PAGE, SENDING, RESULTS, ERRORS];
const TEXTS = { zh: merged("zh"), en: merged("en") };

function merged(language) {
  return Object.assign({}, ...PARTS.map((part) => part[language]));
}

/** Return a function from a key, and values to fill in, to its text in the page's language. */
export const translator = (texts) => (key, ...values) => {
  const found = texts[page.language][key];
  return typeof found === "function" ? found(...values) : found;
};

export const text = translator(TEXTS);

/** Return the label of a prediction or an example, in the page's language if it has one. */
export const labelOf = (row) => row[`label_${page.language}`] || row.label;

/** Return [language, text] from `texts`: in the page's language, else in its other one, else any; else ["", ""]. */
export function describe(texts) {
  const found = [page.language, ...Object.keys(TEXTS), ...Object.keys(texts)].find((language) => texts[language]);
  return found ? [found, texts[found]] : ["", ""];
}
