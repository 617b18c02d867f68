// A function of the list that probe.js gives, for the index of a field by which something is searched. Without a word: gives
// what to search for: the texts of one entry of the longest list behind the field, and a word of each. With a word: gives whether
// it can be read on the page.
function (index, word) {
  const { element } = this[index];
  const body = document.body?.innerText.toLowerCase() ?? "";
  if (word) return body.includes(word.toLowerCase());
  const entriesMin = 4, behind = 4;
  const entriesOf = (list) => {
    const each = [...list.children].filter((entry) => entry.tagName === list.lastElementChild.tagName && entry.checkVisibility() && entry.textContent.trim());
    return each.some((entry) => entry.matches("option,button,label,script,style")) ? [] : each;
  };
  const lists = [...document.querySelectorAll("body *")].slice(0, 2000).filter((list) => element.compareDocumentPosition(list) === behind && list.childElementCount >= entriesMin && !list.matches("tr"));
  const [entries = []] = lists.map(entriesOf).sort((one, other) => other.length - one.length);
  if (entries.length < entriesMin) return [];
  const entry = entries[Math.floor(entries.length / 2)];
  const texts = [];
  const textNodes = 4;
  const walk = document.createTreeWalker(entry, textNodes);
  while (walk.nextNode()) if (!walk.currentNode.parentElement.closest("button,option,script,style")) texts.push(walk.currentNode.data);
  const wordsMax = 8, charsMax = 40;
  const words = texts.flatMap((text) => [text.trim().slice(0, charsMax), /\p{L}{3,}|\d{2,}/u.exec(text)?.[0]]);
  return [...new Set(words)].filter((found) => found && body.includes(found.toLowerCase())).slice(0, wordsMax);
}
