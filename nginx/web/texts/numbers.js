// Numbers and counts in the form of a language.

export const number = (count, language) => count.toLocaleString(language);
export const plural = (count, one, many) => `${number(count, "en")} ${count === 1 ? one : many}`;
