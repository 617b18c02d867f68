// Gives the lists and columns whose numbers stand in the order that they would have as texts, and in no other: 1, 10, 2, 9.
(() => {
  const entriesMin = 5, listsMax = 500;
  const texts = 4;
  // What it says, and what is written in its fields.
  const partsOf = (entry) => {
    const parts = [];
    const walk = document.createTreeWalker(entry, 1 | texts);
    while (walk.nextNode() && parts.length < 20) {
      const node = walk.currentNode;
      if (node.nodeType === 3) parts.push(node.data.trim());
      else if (node.matches("input")) parts.push(node.value);
    }
    return parts.filter(Boolean);
  };
  const number = /^[^\w.-]{0,2}(-?\d[\d,]*(\.\d+)?)\s?[^\d\s]{0,4}$/;
  const isSorted = (list, before) => list.every((value, index) => index === 0 || !before(value, list[index - 1]));
  const isOrdered = (list) => isSorted(list, (one, other) => one < other) || isSorted(list, (one, other) => one > other);
  return [...document.querySelectorAll("body *")].filter(({ childElementCount }) => childElementCount >= entriesMin).slice(0, listsMax).flatMap((list) => {
    const entries = [...list.children].filter(({ tagName }) => tagName === list.lastElementChild.tagName).slice(0, 50);
    if (entries.length < entriesMin) return [];
    const rows = entries.map(partsOf);
    return rows[0].flatMap((_, column) => {
      const read = rows.map((row) => number.exec(row[column] ?? "")?.[1].replaceAll(",", ""));
      if (read.some((said) => said === undefined) || new Set(read).size < entriesMin) return [];
      return isOrdered(read) && !isOrdered(read.map(Number)) ? [read.slice(0, 8).join(", ")] : [];
    });
  });
})()
