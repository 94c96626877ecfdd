# Units, bus policy, polkit actions, catalog: what the system needs to know about cdmd.
