// Gives the properties in the page's style sheets, and those that its scripts set, that no browser knows, where one is called
// nearly so, as { written, place, name }: place is what stands before or around it in the source.
(() => {
  const foundMax = 5;
  const known = Object.keys(document.documentElement.style).map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
  const sheets = [...document.querySelectorAll("style")].map((sheet) => sheet.textContent.slice(0, 100_000).replace(/\/\*[^]*?\*\//g, ""));
  const written = new Set(sheets.flatMap((sheet) => [...sheet.matchAll(/[{;]\s*([a-z][a-z-]{3,30})\s*:[^;{}]*(?=[;}])/g)].map(([, name]) => name)));
  // How many letters are left out, put in or written wrong.
  const apart = (one, other) => {
    let row = Array.from({ length: other.length + 1 }, (_, index) => index);
    for (let at = 0; at < one.length; at += 1) {
      const next = [at + 1];
      for (let to = 0; to < other.length; to += 1) next.push(Math.min(row[to + 1] + 1, next[to] + 1, row[to] + (one[at] === other[to] ? 0 : 1)));
      row = next;
    }
    return row[other.length];
  };
  const meant = (name) => known.find((other) => Math.abs(other.length - name.length) <= 2 && apart(name, other) <= (name.length < 8 ? 1 : 2));
  const unknown = [...written].filter((name) => !known.includes(name)).slice(0, 50);
  const misspelt = unknown.flatMap((name) => (meant(name) ? [{ written: name, place: `${name}:`, name: meant(name) }] : []));
  // Of a script only long names are told, and those with another letter written large; none of one with a `style` of its own.
  const { style } = document.documentElement;
  const names = Object.keys(style);
  const scripts = [...document.scripts].map((script) => script.textContent.slice(0, 200_000)).join("\n");
  const set = new Set([...scripts.matchAll(/\.style\.([A-Za-z]{4,40})\s*=(?!=)/g)].map(([, name]) => name).filter((name) => !(name in style)));
  const hasOwn = /\bstyle\s*[:=]\s*\{|\.style\s*(\?\?|\|\|)?=(?!=)\s*(?!['"`])/.test(scripts);
  for (const name of hasOwn ? [] : [...set].slice(0, 50)) {
    const other = names.find((other) => other.toLowerCase() === name.toLowerCase()) ?? (name.length >= 8 && names.find((other) => Math.abs(other.length - name.length) <= 1 && apart(name, other) === 1));
    if (other) misspelt.push({ written: name, place: `.style.${name}`, name: other });
  }
  for (const [, name] of scripts.matchAll(/\.style\.setProperty\(\s*['"`]([a-z]+[A-Z][A-Za-z]*)['"`]/g)) {
    const other = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (known.includes(other)) misspelt.push({ written: name, place: name, name: other });
  }
  return misspelt.slice(0, foundMax);
})()
