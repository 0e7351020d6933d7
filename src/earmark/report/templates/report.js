"use strict";
// Tables: a column's button sorts by it, a field above a table leaves the rows that hold its text.
const number = (text) => {
  const found = text.trim().replaceAll(",", "").match(/^[<+]?\s*(-?\d+(\.\d+)?)/);
  return found ? Number(found[1]) : null;
};
const compare = (one, other) => {
  const [a, b] = [number(one), number(other)];
  if (a !== null && b !== null) return a - b;
  return (a !== null) - (b !== null) || one.localeCompare(other, "en");
};
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const texts = [...body.rows].map((row) => row.cells[column].textContent);
      const numbers = texts.filter((text) => number(text) !== null).length > texts.length / 2;
      const descending = was ? was === "ascending" : numbers;  // of numbers the highest first
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [a.cells[column].textContent, b.cells[column].textContent];
        if (!x.trim() || !y.trim()) return !x.trim() - !y.trim();  // what is undefined stands last, whichever way
        return (descending ? -1 : 1) * compare(x, y);
      });
      body.append(...rows);
    });
  });
}
for (const field of document.querySelectorAll("input[data-filters]")) {
  const table = document.getElementById(field.dataset.filters);
  const told = document.getElementById(`${field.id}-told`);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    told.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  });
}
