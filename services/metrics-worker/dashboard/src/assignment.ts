/** Who may be given what a customer waits for: a lead to a salesperson, a ticket to an agent, by those who may assign it. */

import { dataOf } from "@tandem/client";
import { salesApi, serviceApi } from "./api";
import { createReading } from "./reading";
import type { Wait } from "./waits";

/** As many as one page of a list may have. */
const PEOPLE = 200;

export interface Person {
  id: string;
  name: string;
}

interface Desk {
  /** Whom its records may be assigned to; none where the caller may not. */
  people: Person[];
  assign: (record: string, person: string) => Promise<unknown>;
}

const readSales = async (): Promise<Person[]> => {
  const { operations } = dataOf(await salesApi!.GET("/v1/me"));
  if (!Object.hasOwn(operations, "assign_lead")) return [];
  return dataOf(await salesApi!.GET("/v1/reps", { params: { query: { active: true, sort: "name", limit: PEOPLE } } })).items;
};

const readService = async (): Promise<Person[]> => {
  const { operations } = dataOf(await serviceApi!.GET("/v1/me"));
  if (!Object.hasOwn(operations, "assign_ticket")) return [];
  return dataOf(await serviceApi!.GET("/v1/agents", { params: { query: { active: true, sort: "name", limit: PEOPLE } } })).items;
};

const assignLead = (id: string, owner_id: string) =>
  salesApi!.POST("/v1/leads/{lead_id}/assign", { params: { path: { lead_id: id } }, body: { owner_id } });
const assignTicket = (id: string, agent_id: string) =>
  serviceApi!.POST("/v1/tickets/{ticket_id}/assign", { params: { path: { ticket_id: id } }, body: { agent_id } });

export interface Assignment {
  /** Whom a wait's record may be assigned to; none where it cannot be, or the caller may not. */
  peopleFor: (wait: Wait) => readonly Person[];
  assign: (wait: Wait, person: Person) => Promise<void>;
}

export function createAssignment(): Assignment {
  const reps = createReading(() => salesApi && "reps", readSales);
  const agents = createReading(() => serviceApi && "agents", readService);
  const deskOf = (wait: Wait): Desk | undefined => {
    if (wait.record.startsWith("leads/")) return { people: reps.latest() ?? [], assign: assignLead };
    if (wait.record.startsWith("tickets/")) return { people: agents.latest() ?? [], assign: assignTicket };
    return undefined;
  };
  return {
    peopleFor: (wait) => deskOf(wait)?.people ?? [],
    assign: async (wait, person) => {
      await deskOf(wait)!.assign(wait.record.slice(wait.record.indexOf("/") + 1), person.id);
    },
  };
}
