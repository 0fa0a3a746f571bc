// the point that is shown: from the list, or by a click in the figure of the front
const points = JSON.parse(document.getElementById("record").textContent).points;
const list = document.querySelector("#point select");
const show = (index) => {
  const point = points[index];
  list.selectedIndex = index;
  for (const id of ["toml", "commands"]) document.getElementById(id).textContent = point[id];
  const place = document.getElementById("figure-point");
  if (place && point.figure) {
    point.figure.layout.font.color = ink();
    Plotly.react(place, point.figure.data, point.figure.layout);
  }
  document.body.dataset.point = index;
};
list.addEventListener("change", () => show(list.selectedIndex));
Promise.all(figures.map((figure) => figure.drawn)).then(() => {
  document.getElementById("figure-front").on("plotly_click", (event) => {
    const index = event.points[0].customdata;
    if (Number.isInteger(index)) show(index);
  });
  show(points.findIndex((point) => point.chosen));
});
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(text);
    try { await navigator.clipboard.writeText(text.textContent); button.textContent = "Copied"; }
    catch { button.textContent = "Selected"; }
  });
}
