// What a view with its own texts needs to speak the page's language.

import { page } from "./texts.js";

/** Call `changed` whenever the page's language is set. */
export function onLanguage(changed) {
  new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["lang"] });
}

const formats = {}; // by language and options: making one takes as long as using it a hundred times

/** Return an `Intl` format of `kind`, "NumberFormat" or "DateTimeFormat", for the page's language. */
export const format = (kind, options = {}) =>
  (formats[page.language + kind + JSON.stringify(options)] ??= new Intl[kind](page.language, options));

export const number = (value, options) => format("NumberFormat", options).format(value);

/** Return the attribute for a text that the service has in English alone. */
export const english = () => (page.language === "en" ? {} : { lang: "en" });
