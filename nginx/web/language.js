// The language in use, and numbers and dates in its form.

const LANGUAGES = ["zh", "en"];
const KEY = "wanwu-language";

export const page = { language: remembered() ?? (navigator.language.startsWith("zh") ? "zh" : "en") };

/** Speak `language` from now on, also on the next visit. */
export function remember(language) {
  page.language = language;
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Storage may be blocked; then the choice lasts only as long as the page.
  }
}

function remembered() {
  try {
    const language = localStorage.getItem(KEY);
    return LANGUAGES.includes(language) ? language : null;
  } catch {
    return null;
  }
}

/** Call `changed` whenever the page's language is set. */
export function onLanguage(changed) {
  new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["lang"] });
}

const formats = {}; // by language and options: making one takes as long as using it a hundred times

/** Return an `Intl` format of `kind`, such as "NumberFormat", for the page's language. */
export const format = (kind, options = {}) =>
  (formats[page.language + kind + JSON.stringify(options)] ??= new Intl[kind](page.language, options));

export const number = (value, options) => format("NumberFormat", options).format(value);

/** Return an English count: "1 worker", "2 workers". */
export const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

const PERCENT = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };
export const percent = (score) => number(score, PERCENT);

/** Return how two texts are ordered, as `sort` needs it: "2" before "10". */
export const inOrder = (one, other) => format("Collator", { numeric: true }).compare(one, other);
