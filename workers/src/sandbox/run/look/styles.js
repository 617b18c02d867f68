// Gives the properties in the page's style sheets that no browser knows, where one is called nearly so, as { written, name }.
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
  return unknown.flatMap((name) => (meant(name) ? [{ written: name, name: meant(name) }] : [])).slice(0, foundMax);
})()
