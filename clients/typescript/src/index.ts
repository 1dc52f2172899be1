/** Typed clients of the three APIs: tokens, idempotency keys and versions as headers, problems as errors, lists by page. */

import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components as MetricsComponents, paths as MetricsPaths } from "./generated/metrics.js";
import type { components as SalesComponents, paths as SalesPaths } from "./generated/sales.js";
import type { components as ServiceComponents, paths as ServicePaths } from "./generated/service.js";

export type { MetricsPaths, SalesPaths, ServicePaths };
/** The records of each API by name: `Sales["DealRead"]`. */
export type Sales = SalesComponents["schemas"];
export type Service = ServiceComponents["schemas"];
export type Metrics = MetricsComponents["schemas"];

/** RFC 9457 problem details, as every API answers an error. */
export type Problem = Sales["Problem"];

export interface Options {
  /** Where the API is: `http://127.0.0.1:8001`. */
  url: string;
  /** Returns the access token; called with each request, so that it can be renewed. */
  token: () => string | Promise<string>;
  /** In the place of the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

/** An answer of 4xx or 5xx. Switch on `type`, show `detail`, put `errors` beside the fields of a form. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly errors: NonNullable<Problem["errors"]>;
  /** Seconds after which the same request may be sent again; null where a repeat would fail again. */
  readonly retryAfter: number | null;
  /** Identifies the request in the logs of the service. */
  readonly requestId: string | null;

  constructor(readonly problem: Problem & Record<string, unknown>, response: Response) {
    super(problem.detail);
    this.type = problem.type;
    this.title = problem.title;
    this.status = problem.status;
    this.errors = problem.errors ?? [];
    const seconds = response.headers.get("Retry-After");
    this.retryAfter = seconds === null ? null : Number(seconds);
    this.requestId = response.headers.get("X-Request-Id");
  }

  /** The end of `type`, such as `deal-already-closed`. */
  get slug(): string {
    return this.type.slice(this.type.lastIndexOf(":") + 1);
  }
}

const WRITES = new Set(["POST", "PUT", "PATCH", "DELETE"]);

function conventions(options: Options): Middleware {
  return {
    async onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${await options.token()}`);
      if (WRITES.has(request.method) && !request.headers.has("Idempotency-Key")) {
        request.headers.set("Idempotency-Key", crypto.randomUUID());
      }
      return request;
    },
    async onResponse({ response }) {
      if (response.status >= 400) {
        throw new ProblemError(await problemOf(response), response);
      }
    },
  };
}

async function problemOf(response: Response): Promise<Problem & Record<string, unknown>> {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    return (await response.json()) as Problem & Record<string, unknown>;
  }
  // From a proxy, not from the API.
  return { type: "about:blank", title: response.statusText, status: response.status, detail: await response.text() };
}

function connect<Paths extends {}>(options: Options): Client<Paths> {
  const client = createClient<Paths>({ baseUrl: options.url, ...(options.fetch && { fetch: options.fetch }) });
  client.use(conventions(options));
  return client;
}

export const sales = (options: Options): Client<SalesPaths> => connect(options);
export const service = (options: Options): Client<ServicePaths> => connect(options);
export const metrics = (options: Options): Client<MetricsPaths> => connect(options);

interface Answer<Data> {
  data?: Data;
  response: Response;
}

/** Returns the data of an answer; errors have been thrown before. */
export function dataOf<Data>(answer: Answer<Data>): Data {
  if (answer.data === undefined) {
    throw new TypeError(`the answer ${answer.response.status} has no content`);
  }
  return answer.data;
}

/** Returns the version that an answer shows, for the header If-Match of a change that is based on it. */
export function etagOf(answer: Answer<unknown>): string {
  const etag = answer.response.headers.get("ETag");
  if (etag === null) {
    throw new TypeError("the answer has no ETag");
  }
  return etag;
}

interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** Yields every record of a list, page by page. `read` is called with the query's `cursor` of each page. */
export async function* records<Item>(
  read: (cursor: string | undefined) => Promise<Answer<Page<Item>>>,
): AsyncGenerator<Item, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = dataOf(await read(cursor));
    yield* page.items;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
