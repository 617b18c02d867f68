// Gives the lists and columns whose numbers stand in the order that they would have as texts, and in no other: 1, 10, 2, 9. Where
// something else in the list is in order, it is sorted by that.
(() => {
  const entriesMin = 6, listsMax = 200, partsMax = 20, nodesMax = 100;
  const texts = 4, elements = 1;
  // What it says, and what is written in its fields.
  const partsOf = (entry) => {
    const parts = [];
    const walk = document.createTreeWalker(entry, elements | texts);
    for (let looked = 0; looked < nodesMax && parts.length < partsMax && walk.nextNode(); looked += 1) {
      const node = walk.currentNode;
      const said = node.nodeType === 3 ? node.data.trim() : node.matches("input") ? node.value : "";
      if (said) parts.push(said);
    }
    return parts;
  };
  const number = /^([^\w.-]{0,2})(\d[\d,]*(?:\.\d+)?)(\s?[^\d\s]{0,4})$/;
  const isSorted = (list, before) => list.every((value, index) => index === 0 || !before(value, list[index - 1]));
  const isOrdered = (list) => isSorted(list, (one, other) => one < other) || isSorted(list, (one, other) => one > other);
  return [...document.querySelectorAll("body *")].filter(({ childElementCount }) => childElementCount >= entriesMin).slice(0, listsMax).flatMap((list) => {
    const entries = [...list.children].filter(({ tagName }) => tagName === list.lastElementChild.tagName).slice(0, 50);
    if (entries.length < entriesMin) return [];
    const rows = entries.map(partsOf);
    const columns = rows[0].map((_, column) => rows.map((row) => row[column] ?? "")).filter((column) => new Set(column).size > 1);
    const read = columns.map((column) => column.map((said) => number.exec(said))).map((column) => {
      const isOne = column.every((found) => found && found[1] === column[0][1] && found[3] === column[0][3]);
      return isOne ? column.map((found) => found[2].replaceAll(",", "")) : null;
    });
    const isByOther = columns.some((column, index) => isOrdered(read[index]?.map(Number) ?? column.map((said) => said.toLowerCase())));
    if (isByOther) return [];
    return read.flatMap((said) => (said && new Set(said).size >= entriesMin && isOrdered(said) ? [said.sort().slice(0, 8).join(", ")] : []));
  });
})()
