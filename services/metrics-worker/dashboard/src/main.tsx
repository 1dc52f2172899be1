import { Route, Router } from "@solidjs/router";
import { lazy } from "solid-js";
import { render } from "solid-js/web";
import { Overview } from "./overview/overview";
import { start } from "./session";
import { Shell } from "./shell";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/overview.css";

const Alerts = lazy(() => import("./alerts"));
const Waiting = lazy(() => import("./waiting"));
const Numbers = lazy(() => import("./numbers"));
const Explore = lazy(() => import("./explore"));
const Boards = lazy(() => import("./boards"));
const Books = lazy(() => import("./books"));
const Customers = lazy(() => import("./customers"));
const Customer = lazy(() => import("./customers").then(({ Customer: page }) => ({ default: page })));
const KpiPage = lazy(() => import("./kpi/page"));

const root = document.getElementById("page");
if (root === null) throw new Error("the page has no #page");
await start();
render(
  () => (
    <Router root={Shell}>
      <Route path="/" component={Overview} />
      <Route path="/alerts" component={Alerts} />
      <Route path="/waiting" component={Waiting} />
      <Route path="/numbers" component={Numbers} />
      <Route path="/explore" component={Explore} />
      <Route path="/customers" component={Customers} />
      <Route path="/customers/:id" component={Customer} />
      <Route path="/boards" component={Boards} />
      <Route path="/books" component={Books} />
      <Route path="/numbers/:kpi" component={KpiPage} />
    </Router>
  ),
  root,
);
