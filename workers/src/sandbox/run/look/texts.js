// Gives the texts in which a person reads what no page means to say, as { word, before, message, tag }: the word, what is
// just before it, where it stands, and the opening tag of the element around it, to find its line by.
(() => {
  // To a form, a field of such a name is what it calls so.
  const { matches } = document.createElement("i");
  const nodesMax = 5000;
  const foundMax = 5;
  const textNodes = 4;
  const found = [];
  // What was given to fields and should have been added up, one behind the other as texts are. Shorter ones may be chance.
  const digitsMin = 5;
  const fields = [...document.querySelectorAll("input")].filter(({ type }) => ["number", "range"].includes(type));
  const given = fields.map(({ value }) => value).filter((value) => /^\d+$/.test(value)).slice(0, 12);
  const joined = new Map(given.flatMap((one, index) => given.filter((_, other) => other !== index).map((other) => [one + other, `${one} and ${other}`])));
  // A colour has six digits: one of its parts was more than 255.
  const noColour = /^#(?=.*[a-f])(?=.*\d)[\da-f]{7}$/i;
  const walk = document.createTreeWalker(document.body ?? document.documentElement, textNodes);
  for (let looked = 0; looked < nodesMax && found.length < foundMax && walk.nextNode(); looked += 1) {
    const text = walk.currentNode.data;
    const sum = text.match(/\d+/g)?.find((number) => number.length >= digitsMin && joined.has(number));
    const said = sum ? { 0: sum, index: text.indexOf(sum) } : /\bNaN\b|\bundefined\b|\[object \w+\]/.exec(text) ?? noColour.exec(text.trim());
    const { parentElement: around } = walk.currentNode;
    if (!said || matches.call(around, "script,style,template,textarea,option") || !around.checkVisibility({ visibilityProperty: true })) continue;
    const tag = around.tagName.toLowerCase().slice(0, 40);
    const name = around.id ? `${tag}#${around.id.slice(0, 40)}` : tag;
    found.push({ word: said[0], before: text.slice(Math.max(0, said.index - 6), said.index), message: `${name} says "${text.trim().replace(/\s+/g, " ").slice(0, 60)}"${sum ? `: that is ${joined.get(sum)} as texts, not added up` : ""}`, tag: around.outerHTML.slice(0, 300).split(">")[0] });
  }
  // The same where it is written into a field.
  for (const field of [...document.querySelectorAll("textarea,input[type=text],input:not([type])")].slice(0, 50)) {
    const said = /^(NaN|undefined|\[object \w+\])$/.exec(field.value.trim());
    if (!said || found.length === foundMax || !field.checkVisibility({ visibilityProperty: true })) continue;
    const tag = field.tagName.toLowerCase();
    found.push({ word: said[0], before: "", message: `${field.id ? `${tag}#${field.id.slice(0, 40)}` : tag} says "${said[0]}"`, tag: field.outerHTML.slice(0, 300).split(">")[0] });
  }
  return found;
})()
