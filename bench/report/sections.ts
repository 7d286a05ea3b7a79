/** Sections of RESULTS.md that are written apart from the rest, each between two marks. */
const section = /<!-- section: (.*?) -->\n[\s\S]*?<!-- end of section -->\n/g;

const marked = (name: string, text: string): string =>
  `<!-- section: ${name} -->\n\n${text}\n\n<!-- end of section -->\n`;

/** A page with a section put in, or in the place of the one of that name. */
export function withSection(page: string, name: string, text: string): string {
  const fresh = marked(name, text);
  const before = [...page.matchAll(section)].find(([, other]) => other === name);
  return before ? page.replace(before[0], () => fresh) : `${page.trimEnd()}\n\n${fresh}`;
}

/** A page that was written anew, with the sections of what it was before. */
export function withSectionsOf(before: string, page: string): string {
  return (
    [page.trimEnd(), ...[...before.matchAll(section)].map(([whole]) => whole.trimEnd())].join('\n\n') + '\n'
  );
}
